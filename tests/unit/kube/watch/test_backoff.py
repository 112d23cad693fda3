"""Retry delays grow, stay bounded, and have jitter."""

from datapath_probe.kube.backoff import LONGEST_S, pause_s


def test_delays_double_up_to_the_maximum() -> None:
    bounds = [0.25, 0.5, 1, 2, 4, 4]
    for failures, longest in enumerate(bounds, start=1):
        pauses = [pause_s(failures) for _ in range(50)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1
    assert pause_s(10_000) <= LONGEST_S
