"""A program with a name of Cilium's counts as the agent's own only if a link or a filter of the agent holds it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.agent import agent_config
from datapath_probe.sources.bpf import bpftool, map_layout
from unit.diagnose.altered_runs import ends, pinned_link
from unit.recorded import recorded

HEALTHY, LOST = "healthy-cross-node", "overlay-dropped-on-the-wire"
LINKS = {FactKind.ENDPOINT_PROGRAM_LINK, FactKind.DEVICE_PROGRAM_LINK}
S, D = 0, 1
OLD = 7777
TCX_IN, TCX_OUT = "tcx/ingress", "tcx/egress"

Shown = list[dict[str, Any]]
Change = Callable[[Shown], Shown]


def printed(shown: object, exit_code: int = 0) -> Answer:
    return Answer(exit_code, json.dumps(shown).encode(), b"", 0.0, 0.0)


def twice(run: PathRun, answers: dict[Fact, Reading]) -> PathRun:
    """The run with these answers, and all answers read twice."""
    readings = {fact: (known[-1], known[-1]) for fact, known in run.evidence}
    readings |= {fact: (answer, answer) for fact, answer in answers.items()}
    return replace(run, evidence=Evidence(readings), second_look=True)


def on_node(run: PathRun, before: PathRun | None = None) -> PathRun:
    """The run, with the links that its agents pin for the programs that it, or the one before it, has attached."""
    while links := [fact for fact in facts_of(run) if fact.kind in LINKS]:
        run = twice(run, {fact: pinned_link(before or run, fact) for fact in links})
    return run


def device(run: PathRun, at: int, name: str) -> Fact:
    """The programs on a device of the source's node (0) or the destination's (1); "lxc" is the pod's."""
    pods = run.plan.source, run.plan.backends[0].pod_facts
    node = ends(run)[at]
    if name != "lxc":
        return bpftool.attached(node, name)
    pod = pods[at]
    assert pod is not None
    assert pod.endpoint is not None
    held = (
        json.loads(reading[-1].stdout)
        for fact, reading in run.evidence
        if fact.node == node and fact.kind is FactKind.AGENT_ENDPOINT and isinstance(reading[-1], Answer)
    )
    [interface] = [
        shown[0]["status"]["networking"]["interface-name"]
        for shown in held
        if shown[0]["id"] == pod.endpoint.endpoint_id
    ]
    return bpftool.attached(node, interface)


def changed(run: PathRun, attached: Fact, change: Change) -> PathRun:
    """The run with other programs on a device; its agents' links are as before."""
    before = on_node(run)
    answer = before.evidence.latest(attached)
    [shown] = json.loads(answer.stdout) if isinstance(answer, Answer) else [{"xdp": [], "tc": []}]
    return on_node(twice(before, {attached: printed([{**shown, "tc": change(shown["tc"])}])}), before)


def extra(kind: str, program: str, *, first: bool = True, **fields: object) -> Change:
    """Another program at this side of the device."""

    def change(shown: Shown) -> Shown:
        dev = shown[0] if shown else {"devname": "eth0", "ifindex": 2}
        old = {"devname": dev["devname"], "ifindex": dev["ifindex"], "kind": kind, "name": program}
        one = {**old, "prog_id": OLD, "link_id": OLD, **fields}
        return [one, *shown] if first else [*shown, one]

    return change


def finding(diagnosis: Diagnosis, hop: HopName) -> tuple[HopVerdict, Reason, str]:
    found = next(one for one in diagnosis.findings if one.hop is hop)
    return found.verdict, found.reason, found.message


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


def by_tc(run: PathRun, attached: Fact, *programs: int) -> PathRun:
    """The run with tc filters instead: `cil_from_overlay` at the ingress, in order."""

    def change(shown: Shown) -> Shown:
        own = [
            {**one, "kind": "clsact/ingress", "id": number, "prog_id": None, "link_id": None}
            for one in shown
            if one["kind"] == TCX_IN
            for number in programs
        ]
        return [*own, *(one for one in shown if one["kind"] == TCX_OUT)]

    return changed(run, attached, change)


def filters(*programs: tuple[int, int]) -> Answer:
    """Priority and program of each filter, as `tc filter show` prints them."""
    shown: Shown = []
    for priority, number in programs:
        head = {"protocol": "all", "pref": priority, "kind": "bpf", "chain": 0}
        options = {"handle": "0x1", "bpf_name": "cil_from_overlay-cilium_vxlan", "direct-action": True}
        shown += [head, {**head, "options": {**options, "prog": {"id": number, "name": "cil_from_overlay"}}}]
    return printed(shown)


def tc_fact(run: PathRun) -> Fact:
    node = ends(run)[D]
    return Fact.of(FactKind.TC_FILTERS, node, device="cilium_vxlan", direction="ingress")


def test_a_single_tc_filter_needs_no_link() -> None:
    healthy = recorded(HEALTHY)
    run = by_tc(healthy, device(healthy, D, "cilium_vxlan"), 21)
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY
    assert tc_fact(run) not in facts_of(run)


@pytest.mark.parametrize(
    ("priority", "words"),
    [
        (2, "program 21 (cil_from_overlay) runs before the agent's own, program 22"),
        (1, "program 22 (cil_from_overlay) is attached behind the agent's own, program 21"),
    ],
)
def test_of_two_tc_filters_the_agents_own_has_its_priority(priority: int, words: str) -> None:
    healthy = recorded(HEALTHY)
    node = ends(healthy)[D]
    run = by_tc(healthy, device(healthy, D, "cilium_vxlan"), 21, 22)
    assert tc_fact(run) in facts_of(run)
    known = run.evidence.latest(agent_config.fact(node))
    assert isinstance(known, Answer)
    line = f"{agent_config.FOLDER}/bpf-filter-priority:{priority}\n".encode()
    config = replace(known, stdout=known.stdout + line)
    run = twice(run, {tc_fact(run): filters((1, 21), (2, 22)), agent_config.fact(node): config})
    verdict, reason, message = finding(diagnose(run), HopName.OVERLAY_DECAPSULATION)
    assert (verdict, reason) == (HopVerdict.STALE, Reason.FOREIGN_PROGRAM)
    assert message.startswith(words)


def test_a_tc_filter_left_behind_a_link_is_a_latent_fault() -> None:
    healthy = recorded(HEALTHY)
    left = extra(
        "clsact/ingress", "cil_from_overlay-cilium_vxlan", first=False, id=OLD, prog_id=None, link_id=None
    )
    diagnosis = diagnose(changed(healthy, device(healthy, D, "cilium_vxlan"), left))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.FOREIGN_PROGRAM)
    assert "behind the agent's own" in diagnosis.message


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
