"""A loss between two tunnel devices is reported only if the receiver counted no packet while this connection sent."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.agent import bpf_metrics
from datapath_probe.sources.iproute2 import links
from unit.diagnose.altered_runs import ends, without
from unit.recorded import recorded

LOST = "overlay-dropped-on-the-wire"
SOON_S, LATE_S = 0.5, 60.0


def device(rx: int, tx: int) -> str:
    return json.dumps([{"stats64": {"rx": {"packets": rx}, "tx": {"packets": tx}}}])


def programs(overlay: int, denied: int = 0) -> str:
    counted = [
        ("Interface", "ingress", "bpf_overlay.c", overlay),
        ("Policy denied", "ingress", "bpf_lxc.c", denied),
        ("Unsupported L3 protocol", "egress", "bpf_lxc.c", overlay),
    ]
    return json.dumps(
        [
            {"reason": reason, "direction": direction, "file": file, "line": 1, "packets": n, "bytes": n}
            for reason, direction, file, n in counted
        ]
    )


def counting(
    run: PathRun, node: str, before: tuple[str, str], after: tuple[str, str], read_s: float = SOON_S
) -> PathRun:
    """The run with the node's counters (device, programs) so long after its start, and in the second look."""
    facts = [links.counters(node, "cilium_vxlan"), bpf_metrics.fact(node)]
    evidence = run.evidence
    for printed, at in ((before, read_s), (after, LATE_S)):
        readings = [Answer(0, text.encode(), b"", run.request.started + at, 0.01) for text in printed]
        evidence = evidence.adding(facts, readings)
    return replace(run, evidence=evidence)


def silent(
    run: PathRun, *, sent: int = 3, arrived: int = 0, seen: int = 0, read_s: float = SOON_S
) -> PathRun:
    here, there = ends(run)
    run = counting(run, here, (device(5, 10), programs(4)), (device(5, 10 + sent), programs(4)), read_s)
    after = (device(7 + arrived, 9), programs(6 + seen))
    return counting(run, there, (device(7, 9), programs(6)), after, read_s)


def test_no_packet_at_the_other_tunnel_device_is_a_loss_between_nodes() -> None:
    diagnosis = diagnose(silent(recorded(LOST)))
    here, there = ends(recorded(LOST))
    assert diagnosis.reason is Reason.LOST_BETWEEN_NODES
    assert diagnosis.segment is not None
    segment = (diagnosis.segment.after, diagnosis.segment.before, diagnosis.segment.node)
    assert segment == (HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION, here)
    assert f"cilium_vxlan on {here} sent 3 packets" in diagnosis.message
    assert f"none arrived at cilium_vxlan on {there}" in diagnosis.message


@pytest.mark.parametrize(
    "change",
    [{"sent": 0}, {"arrived": 1}, {"seen": 1}, {"read_s": LATE_S}, {"sent": -4}],
    ids=["nothing sent", "received", "seen by the program", "read after the last retransmit", "re-created"],
)
def test_anything_else_leaves_the_segment_as_it_was(change: dict[str, float]) -> None:
    run = recorded(LOST)
    diagnosis = diagnose(silent(run, **change))  # type: ignore[arg-type]  # a test's shorthand
    assert (diagnosis.reason, diagnosis.segment) == (Reason.LOST_IN_TRANSIT, diagnose(run).segment)


def test_counters_read_once_prove_nothing() -> None:
    run = silent(recorded(LOST))
    once = {fact: readings[:1] for fact, readings in run.evidence}
    looked = replace(run, evidence=type(run.evidence)(once))
    assert diagnose(looked).reason is not Reason.LOST_BETWEEN_NODES


def test_packets_that_may_not_have_been_sent_are_no_loss() -> None:
    run = without(silent(recorded(LOST)), FactKind.CONNTRACK_ENTRY)
    assert diagnose(run).reason is Reason.LOST_IN_TRANSIT


def test_a_wrong_map_entry_explains_a_loss_better() -> None:
    name = "ipcache-wrong-tunnel-endpoint"
    assert diagnose(silent(recorded(name))).divergence == diagnose(recorded(name)).divergence


def test_drops_that_were_counted_are_a_hint_and_name_no_hop() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    before, after = (device(7, 9), programs(6)), (device(9, 9), programs(8, denied=2))
    diagnosis = diagnose(counting(run, there, before, after))
    assert diagnosis.divergence is None
    assert f"{there} counted 2 × Policy denied in bpf_lxc.c (ingress)" in diagnosis.message
    assert "Unsupported L3 protocol" not in diagnosis.message


def test_counters_are_read_only_while_a_request_hangs() -> None:
    run = recorded("healthy-cross-node")
    waiting = replace(run, request=replace(run.request, reading=None))

    of_counters = (FactKind.BPF_METRICS, FactKind.LINK_COUNTERS)

    def counters(run: PathRun) -> set[Fact]:
        return {q for q in facts_of(run) if q.kind in of_counters}

    assert counters(waiting) == set()
    assert {fact.node for fact in counters(replace(waiting, hanging=True))} == set(ends(run))
    assert counters(run) == set()
