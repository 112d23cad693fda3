"""Recorded runs with altered evidence: with events as Hubble prints them, or without some facts."""

import json
from collections.abc import Sequence
from dataclasses import replace

from datapath_probe.diagnose.connection.flow_events import _MARGIN_S
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.flows import hubble
from unit.sources.golden import printed

AT = "2026-11-23T21:00:0{}.0Z"


def packet(run: PathRun, *, reply: bool = False, flags: str = "SYN", **fields: object) -> str:
    """A line of Hubble for a packet of the run's connection to its first backend."""
    source = (run.plan.source.ip, run.request.local_port)
    backend = run.plan.backends[0] if run.plan.backends else None
    ends = [source, (backend.ip, backend.port) if backend else ("10.244.0.1", 80)]
    (from_ip, from_port), (to_ip, to_port) = reversed(ends) if reply else ends
    flow = {
        "IP": {"source": str(from_ip), "destination": str(to_ip)},
        "l4": {
            "TCP": {
                "source_port": from_port,
                "destination_port": to_port,
                "flags": dict.fromkeys(flags.split(), True),
            }
        },
        **fields,
    }
    return json.dumps({"flow": flow, "time": AT.format(0)})


def dropped(run: PathRun, code: int, file: str, direction: str = "INGRESS", *, reply: bool = False) -> str:
    """A line of Hubble for a dropped packet."""
    return packet(run, reply=reply, drop_reason=code, file={"name": file}, traffic_direction=direction)


def with_events(run: PathRun, node: str, lines: Sequence[str], *, moved_on: bool = True) -> PathRun:
    """The run with these lines from the node's ring, which has moved on since the request ended."""
    ip, port = run.plan.source.ip, run.request.local_port
    since_s = int(run.plan.request.timeout_s) + _MARGIN_S
    rings = [AT.format(1), AT.format(2 if moved_on else 1)]
    answers: dict[Fact, list[Answer]] = {
        hubble.newest(node): [printed(json.dumps({"flow": {"IP": {}}, "time": at})) for at in rings],
        hubble.connection(node, ip, port, since_s): [printed("\n".join(lines))],
        hubble.icmp(node, ip, since_s): [printed("")],
    }
    evidence = run.evidence
    for fact, readings in answers.items():
        for reading in readings:
            evidence = evidence.adding([fact], [reading])
    return replace(run, evidence=evidence)


def ends(run: PathRun) -> tuple[str, str]:
    """The nodes of source and destination."""
    here = run.plan.source.node.name
    target = run.plan.backends[0].pod_facts if run.plan.backends else None
    return here, target.node.name if target else here


def without(run: PathRun, *kinds: FactKind) -> PathRun:
    """The run without facts of these kinds."""
    kept: dict[Fact, tuple[Reading, ...]] = {q: r for q, r in run.evidence if q.kind not in kinds}
    return replace(run, evidence=type(run.evidence)(kept))


def pinned_link(run: PathRun, fact: Fact) -> Answer:
    """What bpftool shows for the agent's link of a program: that of the program as the run recorded it, or none."""
    for attached, readings in run.evidence:
        if attached.kind is FactKind.ATTACHED_PROGRAMS and attached.node == fact.node:
            shown = bpftool.parse_attached(readings[-1])
            for one in () if isinstance(shown, Unavailable) else shown:
                own = fact.get("device") in (None, one.device)
                if own and one.program == fact.text("program") and one.link_id:
                    link = {"id": one.link_id, "prog_id": one.program_id, "ifindex": one.ifindex}
                    return printed(json.dumps(link), exit_code=255)
    return printed('{"error": "bpf obj get: No such file or directory"}', exit_code=255)


def no_conntrack_entries(run: PathRun) -> PathRun:
    """The run as if conntrack had evicted its entries: the maps answer, and have no entry of the connection."""
    readings = {
        fact: tuple(
            replace(reading, exit_code=254, stdout=b"null\n") if isinstance(reading, Answer) else reading
            for reading in readings_
        )
        if fact.kind is FactKind.CONNTRACK_ENTRY
        else readings_
        for fact, readings_ in run.evidence
    }
    return replace(run, evidence=Evidence(readings))
