"""IPsec policies that drop packets of a request (recorded, as the kernel prints them), and policies for others."""

import json
from pathlib import Path

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.sources import kernel_counters
from datapath_probe.sources.iproute2 import xfrm
from unit.diagnose.netstack.test_netfilter import inside
from unit.diagnose.test_node_stack import answered
from unit.diagnose.test_route_lookups import outer, uplinked
from unit.recorded import recorded

RECORDED = json.loads((Path(__file__).parents[3] / "data/xfrm/linux-6.18.json").read_text())
LOST = "overlay-dropped-on-the-wire"
NODES = ("172.30.0.12", "172.30.0.13")  # in the recorded policies
DECAP, ROUTING = HopName.OVERLAY_DECAPSULATION, HopName.NODE_ROUTING


def of(run: PathRun, name: str) -> dict[str, str]:
    """The recorded output with the addresses of the run's nodes."""
    packet, _, _ = outer(run)
    ends = dict(zip(NODES, map(str, (packet.source, packet.destination)), strict=True))
    shown: dict[str, str] = RECORDED[name]
    for recorded_ip, ip in ends.items():
        shown = {kind: text.replace(recorded_ip, f"<{ip}>") for kind, text in shown.items()}
    return {kind: text.replace("<", "").replace(">", "") for kind, text in shown.items()}


def answers(run: PathRun, name: str, node: str, namespace: str | None = None) -> dict[Fact, str]:
    """What this node, or a pod there, says about IPsec."""
    shown = of(run, name)
    return {
        xfrm.policies(node, namespace): shown["policies"],
        xfrm.defaults(node, namespace): shown["defaults"],
        xfrm.states(node, namespace): "",
        kernel_counters.fact(node, namespace): shown["counters"],
    }


def with_policies(name: str, at: int) -> Diagnosis:
    """The diagnosis of a request that was lost between the nodes, with these policies on the source's node (0) or the
    destination's (1).
    """
    run = uplinked(recorded(LOST))
    _, *nodes = outer(run)
    return diagnose(answered(run, answers(run, name, nodes[at])))


@pytest.mark.parametrize(
    ("name", "at", "hop", "counter"),
    [
        ("blocks-arriving", 1, DECAP, "XfrmInPolBlock of /proc/net/xfrm_stat: 2"),
        ("wants-encryption", 1, DECAP, "XfrmInTmplMismatch of /proc/net/xfrm_stat: 2"),
        ("default-blocks", 1, DECAP, "XfrmInNoPols of /proc/net/xfrm_stat: 2"),
        ("blocks-leaving", 0, ROUTING, "XfrmOutPolBlock of /proc/net/xfrm_stat: 2"),
        ("without-state", 0, ROUTING, "XfrmOutNoStates of /proc/net/xfrm_stat: 2"),
    ],
)
def test_a_policy_that_drops_tunnel_packets_is_named_with_its_counter(
    name: str, at: int, hop: HopName, counter: str
) -> None:
    divergence = with_policies(name, at).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (hop, Reason.XFRM_POLICY_DROPS)
    assert counter in divergence.message


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("blocks-arriving", 0),  # of the other direction
        ("blocks-leaving", 1),
        ("blocks-others", 1),
        ("blocks-marked", 0),
        ("allowed-first", 1),
    ],
)
def test_policies_for_other_packets_are_not_blamed(name: str, at: int) -> None:
    diagnosis = with_policies(name, at)
    assert diagnosis.divergence is None
    assert diagnosis.segment is not None


def test_a_policy_that_was_never_used_has_dropped_nothing() -> None:
    run = uplinked(recorded(LOST))
    _, _, there = outer(run)
    known = answers(run, "blocks-arriving", there)
    unused = {
        fact: _unused(text) if fact.kind is FactKind.XFRM_POLICIES else text for fact, text in known.items()
    }
    assert diagnose(answered(run, unused)).divergence is None


def _unused(text: str) -> str:
    return "\n".join(
        line.partition(" use 2")[0] + " use -" if " use 2" in line else line for line in text.splitlines()
    )


def found(diagnosis: Diagnosis, hop: HopName) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.hop is hop)


def test_a_policy_that_may_apply_leaves_the_hop_unknown() -> None:
    run = uplinked(recorded(LOST))
    _, _, there = outer(run)
    known = answers(run, "blocks-arriving", there)
    marked = {
        fact: text.replace("share any flag", "share any flag", 1).replace(
            "\tlifetime config:", "\tmark 0x17/0xff \n\tlifetime config:"
        )
        for fact, text in known.items()
    }
    assert found(diagnose(answered(run, marked)), DECAP).verdict is HopVerdict.UNKNOWN


def test_a_policy_whose_packets_a_state_encrypts_is_not_followed() -> None:
    run = uplinked(recorded(LOST))
    packet, here, _ = outer(run)
    state = f"src {packet.source} dst {packet.destination}\n\tproto esp spi 0x00000003 reqid 1 mode tunnel\n"
    known = {**answers(run, "without-state", here), xfrm.states(here): state}
    used = {fact: text.replace("use -", "use 2026-11-30 22:47:27") for fact, text in known.items()}
    assert found(diagnose(answered(run, used)), ROUTING).verdict is HopVerdict.UNKNOWN


def test_a_policy_inside_the_pod_is_named_at_its_interface() -> None:
    run = recorded("filter-drops-inside-the-destination")
    node, namespace = inside(run)
    known = answers(run, "wants-encryption", node, namespace)
    ours = {
        fact: text.replace("dst 172.30.0.0/16", "dst 10.244.0.0/16")
        if fact.kind is FactKind.XFRM_POLICIES
        else text
        for fact, text in known.items()
    }
    from datapath_probe.sources.netfilter import iptables

    run = answered(run, {iptables.fact(node, namespace): "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", **ours})
    divergence = diagnose(run).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (HopName.DESTINATION_INTERFACE, Reason.XFRM_POLICY_DROPS)
    assert "inside the pod" in divergence.message


def test_after_a_successful_request_no_policies_are_read() -> None:
    kinds = {FactKind.XFRM_POLICIES, FactKind.XFRM_DEFAULTS, FactKind.XFRM_STATES, FactKind.KERNEL_COUNTERS}
    assert not {fact.kind for fact in facts_of(recorded("healthy-cross-node"))} & kinds
    assert {fact.kind for fact in facts_of(recorded(LOST))} >= {FactKind.XFRM_POLICIES}
