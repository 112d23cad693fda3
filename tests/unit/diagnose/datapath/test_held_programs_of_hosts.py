"""Packets of a host pass the programs of `cilium_host`, which count as the agent's own only if a link holds them."""

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.sources.bpf import bpftool
from unit.diagnose.altered_runs import ends
from unit.diagnose.datapath.held_programs import (
    HEALTHY,
    TCX_IN,
    TCX_OUT,
    S,
    changed,
    extra,
    finding,
    on_node,
    printed,
    twice,
)
from unit.recorded import recorded

HOSTS = [
    ("healthy-from-host-cross-node", S, TCX_OUT, "cil_from_host", HopName.OVERLAY_ENCAPSULATION),
    ("healthy-from-host-cross-node", S, TCX_IN, "cil_to_host", HopName.REPLY_DELIVERY),
    ("healthy-from-host-same-node", S, TCX_OUT, "cil_from_host", HopName.DESTINATION_PROGRAM),
    ("healthy-to-host-cross-node", S, TCX_OUT, "cil_from_host", HopName.REPLY_DELIVERY),
    ("healthy-to-host-same-node", S, TCX_OUT, "cil_from_host", HopName.REPLY_DELIVERY),
]


def with_cilium_host(run: PathRun, node: str, *left_out: str) -> PathRun:
    """The run with the programs of `cilium_host`, which it did not record."""
    own = [(TCX_IN, "cil_to_host", 31), (TCX_OUT, "cil_from_host", 32)]
    tc = [
        {
            "devname": "cilium_host",
            "ifindex": 3,
            "kind": kind,
            "name": name,
            "prog_id": number,
            "link_id": number,
        }
        for kind, name, number in own
        if name not in left_out
    ]
    return twice(run, {bpftool.attached(node, "cilium_host"): printed([{"xdp": [], "tc": tc}])})


@pytest.mark.parametrize(("name", "at", "kind", "program", "hop"), HOSTS)
def test_packets_of_a_host_pass_the_programs_of_cilium_host(
    name: str, at: int, kind: str, program: str, hop: HopName
) -> None:
    node = ends(recorded(name))[at]
    healthy = with_cilium_host(recorded(name), node)
    assert diagnose(on_node(healthy)).verdict is ProbeVerdict.HEALTHY
    diagnosis = diagnose(changed(healthy, bpftool.attached(node, "cilium_host"), extra(kind, program)))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.FOREIGN_PROGRAM)
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (hop, node)


@pytest.mark.parametrize(("name", "at", "kind", "program", "hop"), HOSTS)
def test_only_what_packets_need_is_missed_at_cilium_host(
    name: str, at: int, kind: str, program: str, hop: HopName
) -> None:
    node = ends(recorded(name))[at]
    run = on_node(with_cilium_host(recorded(name), node, program))
    verdict, reason, _ = finding(diagnose(run), hop)
    missed = (HopVerdict.STALE, Reason.PROGRAM_MISSING)
    assert (verdict, reason) == (missed if kind == TCX_OUT else (HopVerdict.OK, Reason.OK))


def test_paths_between_pods_do_not_need_cilium_host_with_a_tunnel() -> None:
    asked = {fact.get("device") for fact in facts_of(recorded(HEALTHY))}
    assert "cilium_host" not in asked
