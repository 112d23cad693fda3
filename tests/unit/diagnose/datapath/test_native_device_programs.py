"""Cilium's programs at the uplinks: a detached one is a latent fault of the routing hop of its direction."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpftool
from unit.diagnose.altered_runs import ends, without
from unit.recorded import recorded

HEALTHY = "healthy-cross-node"
FROM, TO = "cil_from_netdev", "cil_to_netdev"
REQUESTS, REPLIES = HopName.NODE_ROUTING, HopName.REPLY_ROUTING
HOOKS = {FROM: "tcx/ingress", TO: "tcx/egress"}


def answering(run: PathRun, answers: Mapping[Fact, Reading]) -> PathRun:
    """The run, all its answers read twice, with other ones."""
    twice = {q: (r[-1], r[-1]) for q, r in run.evidence}
    readings = {**twice, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def shown(value: object, exit_code: int = 0) -> Answer:
    return Answer(exit_code, json.dumps(value).encode(), b"", 0.0, 0.0)


def chain(*programs: str, kind: str = "") -> Answer:
    tc = [
        {"devname": "eth0", "ifindex": 2, "kind": kind or HOOKS[name], "name": name, "prog_id": 7}
        for name in programs
    ]
    return shown([{"xdp": [], "tc": tc, "flow_dissector": [], "netfilter": []}])


def link(**fields: object) -> Answer:
    return shown({"id": 9, "type": "tcx", "prog_id": 7, **fields})


NO_LINK = shown({"error": "bpf obj get (/sys/fs/bpf/cilium/…): No such file or directory"}, 255)
DETACHED, OLD = link(devname="(detached)", ifindex=0), link()


def with_programs(chains: tuple[Answer, Answer], links: Mapping[tuple[int, str], Answer]) -> PathRun:
    """A healthy run with these programs at the uplinks of the source's node (0) and the destination's (1)."""
    run = recorded(HEALTHY)
    nodes = ends(run)
    answers = {bpftool.attached(nodes[at], "eth0"): chains[at] for at in (0, 1)}
    pins = {
        bpftool.device_link(nodes[at], "eth0", name): links.get((at, name), NO_LINK)
        for at in (0, 1)
        for name in (FROM, TO)
    }
    return answering(run, {**answers, **pins})


@pytest.mark.parametrize(
    ("at", "program", "hop"), [(0, TO, REQUESTS), (1, FROM, REQUESTS), (1, TO, REPLIES), (0, FROM, REPLIES)]
)
def test_a_detached_program_is_reported_at_the_route_of_its_direction(
    at: int, program: str, hop: HopName
) -> None:
    other = {FROM: TO, TO: FROM}[program]
    chains = [chain(FROM, TO), chain(FROM, TO)]
    chains[at] = chain(other)
    diagnosis = diagnose(with_programs((chains[0], chains[1]), {(at, program): DETACHED}))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.PROGRAM_MISSING)
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (hop, ends(recorded(HEALTHY))[at])


def test_programs_without_a_pinned_link_are_not_missed() -> None:
    assert diagnose(with_programs((chain(FROM), chain(FROM)), {})).verdict is ProbeVerdict.HEALTHY
    assert diagnose(with_programs((chain(), chain()), {})).verdict is ProbeVerdict.HEALTHY


def test_links_are_read_only_if_a_program_is_not_seen() -> None:
    run = without(recorded(HEALTHY), FactKind.DEVICE_PROGRAM_LINK)
    nodes = ends(run)
    pins = {bpftool.device_link(node, "eth0", name) for node in nodes for name in (FROM, TO)}
    seen = answering(run, {bpftool.attached(node, "eth0"): chain(FROM) for node in nodes})
    assert pins & set(facts_of(seen)) == {bpftool.device_link(node, "eth0", TO) for node in nodes}
    seen = answering(run, {bpftool.attached(node, "eth0"): chain(FROM, TO) for node in nodes})
    assert not pins & set(facts_of(seen))


@pytest.mark.parametrize(
    "answer", [link(devname="eth0", ifindex=2), OLD, shown({"error": "not permitted"}, 255)]
)
def test_a_link_that_may_be_attached_is_no_fault(answer: Answer) -> None:
    run = with_programs((chain(), chain()), {(0, TO): answer, (1, FROM): answer})
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


def test_a_bpftool_that_lists_tcx_but_not_the_links_program_counts() -> None:
    diagnosis = diagnose(with_programs((chain(FROM), chain(FROM)), {(0, TO): OLD}))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.PROGRAM_MISSING)


def test_without_an_answer_of_bpftool_the_path_stays_healthy() -> None:
    run = recorded(HEALTHY)
    silent = Unavailable("EvidenceTimeout", "no answer within 5 s")
    run = answering(run, {bpftool.attached(node, "eth0"): silent for node in ends(run)})
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


def test_a_detached_program_explains_no_failure_and_is_not_read_then() -> None:
    run = recorded("overlay-dropped-on-the-wire")
    pins = {bpftool.device_link(node, "eth0", name) for node in ends(run) for name in (FROM, TO)}
    assert not pins & set(facts_of(run))
