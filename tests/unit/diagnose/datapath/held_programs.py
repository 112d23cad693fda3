"""Recorded runs with other programs, links and filters than they recorded."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpftool
from unit.diagnose.altered_runs import ends, pinned_link

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
