"""The program in a pod's slot of `cilium_call_policy`, after a request was lost."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import PodFacts
from datapath_probe.sources.bpf import bpftool
from unit.recorded import recorded

LOST = "overlay-dropped-on-the-wire"
OWN_MAP, OWN_CALLS, OTHERS_MAP = 11, 12, 99


def destination(run: PathRun) -> PodFacts:
    target = run.plan.backends[0].pod_facts
    assert target is not None
    return target


def slot_of(run: PathRun, pod: PodFacts, name: str, *map_ids: int) -> PathRun:
    """The run with a program of this name and these maps in the pod's slot. The pod's other programs use its map."""
    assert pod.endpoint is not None
    node, endpoint = pod.node.name, pod.endpoint.endpoint_id
    number = bpftool.parse_call(run.evidence.latest(bpftool.policy_call(node, endpoint)))
    assert isinstance(number, int)
    call = {"key": ["0x07"], "value": [f"{octet:#04x}" for octet in (7777).to_bytes(4, "little")]}
    shown: dict[Fact, object] = {
        bpftool.prog(node, number): program(number, name, map_ids),
        bpftool.endpoint_call(node, endpoint, 7): call,
        bpftool.endpoint_call(node, endpoint, 26): call,
        bpftool.prog(node, 7777): program(7777, "tail_handle_ipv4", (OWN_MAP,)),
        bpftool.map_id(node, f"cilium_policy_v2_{endpoint:05d}"): {"id": OWN_MAP},
        bpftool.map_id(node, bpftool.calls_of(endpoint)): {"id": OWN_CALLS},
    }
    readings: dict[Fact, tuple[Reading, ...]] = dict(run.evidence)
    for fact, answer in shown.items():
        readings[fact] = (Answer(0, json.dumps(answer).encode(), b"", 0.0, 0.0),) * 2
    return replace(run, evidence=Evidence(readings))


def program(number: int, name: str, map_ids: tuple[int, ...]) -> dict[str, object]:
    return {"id": number, "name": name, "type": "sched_cls", "tag": "0", "map_ids": list(map_ids)}


def verdict(run: PathRun, hop: HopName) -> tuple[HopVerdict, Reason]:
    [found] = [finding for finding in diagnose(run).findings if finding.hop is hop]
    return found.verdict, found.reason


@pytest.mark.parametrize("own", [OWN_MAP, OWN_CALLS])
def test_the_endpoints_own_program_is_fine(own: int) -> None:
    run = recorded(LOST)
    run = slot_of(run, destination(run), "cil_lxc_policy", own)
    assert verdict(run, HopName.DESTINATION_PROGRAM) == (HopVerdict.OK, Reason.OK)


@pytest.mark.parametrize(
    ("name", "maps"), [("drop_all", ()), ("drop_all", (OWN_MAP,)), ("cil_lxc_policy", (OTHERS_MAP,))]
)
def test_another_program_in_the_destinations_slot_is_why_packets_are_lost(
    name: str, maps: tuple[int, ...]
) -> None:
    run = recorded(LOST)
    diagnosis = diagnose(slot_of(run, destination(run), name, *maps))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.DESTINATION_PROGRAM
    assert diagnosis.reason is Reason.FOREIGN_PROGRAM


def test_another_program_in_the_sources_slot_is_a_fault_of_reply_delivery() -> None:
    run = recorded(LOST)
    run = slot_of(run, run.plan.source, "drop_all")
    assert verdict(run, HopName.REPLY_DELIVERY) == (HopVerdict.STALE, Reason.FOREIGN_PROGRAM)


def test_a_map_that_no_program_of_the_endpoint_uses_is_no_fault_of_the_slot() -> None:
    run = recorded(LOST)
    run = slot_of(run, destination(run), "cil_lxc_policy", OTHERS_MAP)
    node = destination(run).node.name
    other = Answer(0, json.dumps(program(7777, "tail", (OTHERS_MAP,))).encode(), b"", 0.0, 0.0)
    readings = dict(run.evidence) | {bpftool.prog(node, 7777): (other, other)}
    run = replace(run, evidence=Evidence(readings))
    assert verdict(run, HopName.DESTINATION_PROGRAM) == (HopVerdict.OK, Reason.OK)
