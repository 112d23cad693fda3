"""Pauses grow, stay bounded, and differ between those who wait."""

from datapath_probe.kube.backoff import LONGEST_S, pause_s


def test_pauses_double_until_they_are_long_enough() -> None:
    bounds = [0.25, 0.5, 1, 2, 4, 4]
    for failures, longest in enumerate(bounds, start=1):
        pauses = [pause_s(failures) for _ in range(50)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1
    assert pause_s(10_000) <= LONGEST_S
