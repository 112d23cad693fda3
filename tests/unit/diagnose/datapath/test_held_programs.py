"""A program with a name of Cilium's counts as the agent's own only if a link or a filter of the agent holds it."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpftool, map_layout
from unit.diagnose.altered_runs import ends
from unit.diagnose.datapath.held_programs import (
    HEALTHY,
    LINKS,
    LOST,
    OLD,
    TCX_IN,
    TCX_OUT,
    D,
    S,
    Shown,
    changed,
    device,
    extra,
    finding,
    on_node,
    printed,
    twice,
)
from unit.recorded import recorded

PLACES = [
    (S, "lxc", TCX_IN, "cil_from_container", HopName.SOURCE_PROGRAM),
    (S, "lxc", TCX_OUT, "cil_to_container", HopName.SOURCE_INTERFACE),
    (S, "cilium_vxlan", TCX_OUT, "cil_to_overlay", HopName.OVERLAY_ENCAPSULATION),
    (S, "eth0", TCX_OUT, "cil_to_netdev", HopName.NODE_ROUTING),
    (D, "eth0", TCX_IN, "cil_from_netdev", HopName.NODE_ROUTING),
    (D, "cilium_vxlan", TCX_IN, "cil_from_overlay", HopName.OVERLAY_DECAPSULATION),
    (D, "lxc", TCX_OUT, "cil_to_container", HopName.DESTINATION_INTERFACE),
    (D, "lxc", TCX_IN, "cil_from_container", HopName.REPLY_PROGRAM),
    (D, "cilium_vxlan", TCX_OUT, "cil_to_overlay", HopName.REPLY_ENCAPSULATION),
    (D, "eth0", TCX_OUT, "cil_to_netdev", HopName.REPLY_ROUTING),
    (S, "eth0", TCX_IN, "cil_from_netdev", HopName.REPLY_ROUTING),
    (S, "cilium_vxlan", TCX_IN, "cil_from_overlay", HopName.REPLY_DECAPSULATION),
]


def test_programs_that_the_agents_links_hold_are_their_own() -> None:
    run = on_node(recorded(HEALTHY))
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY
    asked = {fact.get("program") for fact, _ in run.evidence if fact.kind in LINKS}
    assert {"cil_from_container", "cil_to_overlay", "cil_from_overlay", "cil_from_netdev"} <= asked


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("at", "name", "kind", "program", "hop"), PLACES)
def test_a_second_program_of_that_name_is_a_latent_fault_of_its_hop(
    at: int, name: str, kind: str, program: str, hop: HopName, first: bool
) -> None:
    healthy = recorded(HEALTHY)
    run = changed(healthy, device(healthy, at, name), extra(kind, program, first=first))
    diagnosis = diagnose(run)
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.FOREIGN_PROGRAM)
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (hop, ends(healthy)[at])
    assert f"program {OLD} ({program}, link {OLD})" in diagnosis.message


@pytest.mark.parametrize(
    ("at", "name", "kind", "program", "hop"),
    [place for place in PLACES if place[-1] in (HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION)]
    + [PLACES[3], PLACES[4]],
)
def test_a_program_that_runs_before_the_agents_own_explains_a_loss(
    at: int, name: str, kind: str, program: str, hop: HopName
) -> None:
    lost = recorded(LOST)
    attached = device(lost, at, name)
    if name == "eth0":  # not read when this run was recorded
        own = {"devname": name, "ifindex": 2, "kind": kind, "name": program, "prog_id": 3, "link_id": 3}
        lost = twice(lost, {attached: printed([{"xdp": [], "tc": [own]}])})
    diagnosis = diagnose(changed(lost, attached, extra(kind, program)))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.FOREIGN_PROGRAM)
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (hop, ends(lost)[at])
    assert "runs before the agent's own" in diagnosis.message


def test_a_program_behind_the_agents_own_explains_no_loss() -> None:
    lost = recorded(LOST)
    run = changed(lost, device(lost, D, "cilium_vxlan"), extra(TCX_IN, "cil_from_overlay", first=False))
    diagnosis = diagnose(run)
    assert diagnosis.segment == diagnose(lost).segment
    verdict, reason, message = finding(diagnosis, HopName.OVERLAY_DECAPSULATION)
    assert (verdict, reason) == (HopVerdict.STALE, Reason.FOREIGN_PROGRAM)
    assert "behind the agent's own" in message


def test_a_link_keeps_its_identity_when_its_program_is_replaced() -> None:
    healthy = recorded(HEALTHY)

    def reloaded(shown: Shown) -> Shown:
        return [{**one, "prog_id": one["prog_id"] + 1000} for one in shown]

    run = changed(healthy, device(healthy, D, "cilium_vxlan"), reloaded)
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


def test_a_program_whose_link_is_pinned_nowhere_is_a_latent_fault_and_explains_no_loss() -> None:
    for name, verdict in ((HEALTHY, ProbeVerdict.DEGRADED), (LOST, diagnose(recorded(LOST)).verdict)):
        run = on_node(recorded(name))
        pin = bpftool.device_link(ends(run)[D], "cilium_vxlan", "cil_from_overlay")
        gone = printed({"error": "bpf obj get (…): No such file or directory"}, 255)
        diagnosis = diagnose(twice(run, {pin: gone}))
        assert diagnosis.verdict is verdict
        found, reason, message = finding(diagnosis, HopName.OVERLAY_DECAPSULATION)
        assert (found, reason) == (HopVerdict.STALE, Reason.FOREIGN_PROGRAM)
        assert "the agent has no link of it" in message
    assert diagnosis.divergence is None


def test_versions_that_may_pin_links_elsewhere_are_not_blamed() -> None:
    run = on_node(recorded(HEALTHY))
    node = ends(run)[D]
    pin = bpftool.device_link(node, "cilium_vxlan", "cil_from_overlay")
    gone = printed({"error": "bpf obj get (…): No such file or directory"}, 255)
    old = printed("")
    run = twice(run, {pin: gone, map_layout.version(node): replace(old, stdout=b"cilium-agent 1.12.0 x")})
    assert finding(diagnose(run), HopName.OVERLAY_DECAPSULATION)[0] is HopVerdict.OK


def test_a_program_attached_without_a_link_is_not_missed_in_pins() -> None:
    healthy = recorded(HEALTHY)

    def unlinked(shown: Shown) -> Shown:
        return [{key: one[key] for key in one if key != "link_id"} for one in shown]

    run = changed(healthy, device(healthy, D, "cilium_vxlan"), unlinked)
    gone = printed({"error": "bpf obj get (…): No such file or directory"}, 255)
    pins = {fact: gone for fact, _ in run.evidence if fact.kind in LINKS and fact.get("device")}
    pins = {fact: gone for fact in pins if fact.node == ends(run)[D] and fact.get("device") == "cilium_vxlan"}
    assert pins
    assert diagnose(twice(run, dict(pins))).verdict is ProbeVerdict.HEALTHY


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"id": 5, "prog_id": 4, "ifindex": 0, "devname": "(detached)"}, "is detached"),
        ({"id": 5, "prog_id": 4, "ifindex": 99, "devname": "dummy0"}, "is attached to another device"),
    ],
)
def test_the_agents_own_link_may_be_elsewhere(link: dict[str, object], words: str) -> None:
    run = on_node(recorded(LOST))
    pin = bpftool.device_link(ends(run)[D], "cilium_vxlan", "cil_from_overlay")
    diagnosis = diagnose(twice(run, {pin: printed(link, 255)}))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.FOREIGN_PROGRAM)
    assert diagnosis.message.endswith(words)


def test_without_the_link_a_single_program_is_trusted_and_one_of_two_is_not() -> None:
    healthy, silent = recorded(HEALTHY), Unavailable("EvidenceTimeout", "no answer within 5 s")
    run = on_node(healthy)
    pin = bpftool.device_link(ends(run)[D], "cilium_vxlan", "cil_from_overlay")
    assert diagnose(twice(run, {pin: silent})).verdict is ProbeVerdict.HEALTHY
    run = changed(healthy, device(healthy, D, "cilium_vxlan"), extra(TCX_IN, "cil_from_overlay"))
    verdict, reason, _ = finding(diagnose(twice(run, {pin: silent})), HopName.OVERLAY_DECAPSULATION)
    assert (verdict, reason) == (HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)


def test_netkit_devices_have_links_of_their_endpoint() -> None:
    healthy = recorded(HEALTHY)
    attached = device(healthy, S, "lxc")

    def by_netkit(shown: Shown) -> Shown:
        return [{**one, "kind": "netkit/peer"} for one in shown]

    run = changed(healthy, attached, by_netkit)
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY
    diagnosis = diagnose(changed(run, attached, extra("netkit/peer", "cil_from_container")))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (HopName.SOURCE_PROGRAM, Reason.FOREIGN_PROGRAM)


def test_the_program_that_xdp_runs_is_the_one_of_the_agents_link() -> None:
    run = on_node(recorded(HEALTHY))
    node = ends(run)[D]
    attached, pin = bpftool.attached(node, "eth0"), bpftool.device_link(node, "eth0", "cil_xdp_entry")
    answer = run.evidence.latest(attached)
    assert isinstance(answer, Answer)
    [shown] = json.loads(answer.stdout)
    xdp = {"devname": "eth0", "ifindex": 2, "mode": "driver", "id": 50}
    run = on_node(twice(run, {attached: printed([{**shown, "xdp": [xdp]}])}))
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY  # no link of Cilium's: not its device
    for number, verdict in ((50, ProbeVerdict.HEALTHY), (51, ProbeVerdict.DEGRADED)):
        link = printed({"id": 5, "type": "xdp", "prog_id": number, "ifindex": 2}, 255)
        diagnosis = diagnose(twice(run, {pin: link}))
        assert diagnosis.verdict is verdict
    assert diagnosis.reason is Reason.FOREIGN_PROGRAM


def test_the_first_contradiction_asks_for_both_the_chain_and_the_link_again() -> None:
    healthy = recorded(HEALTHY)
    attached = device(healthy, D, "cilium_vxlan")
    run = changed(healthy, attached, extra(TCX_IN, "cil_from_overlay"))
    once = Evidence({fact: (known[-1],) for fact, known in run.evidence})
    diagnosis = diagnose(replace(run, evidence=once, second_look=False))
    pin = bpftool.device_link(attached.node, "cilium_vxlan", "cil_from_overlay")
    assert diagnosis.needs_second_look
    assert {attached, pin} <= diagnosis.confirm
