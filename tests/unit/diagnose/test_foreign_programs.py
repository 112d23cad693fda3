"""Programs that run before the agent's own: with its name, or at the tunnel device."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpf_returns, bpftool
from unit.recorded import recorded

FAILED = "endpoint-taken-for-the-host"
LOST = "overlay-dropped-on-the-wire"


def attached_first(run: PathRun, hook: str, program: str) -> PathRun:
    """The run with a foreign program, 7777, before every program of Cilium at this hook."""
    readings: dict[Fact, tuple[Reading, ...]] = {}
    for fact, answers in run.evidence:
        readings[fact] = answers
        if fact.kind is FactKind.ATTACHED_PROGRAMS and not fact.get("namespace"):
            readings[fact] = tuple(_with_foreign_program(answer, hook, program) for answer in answers)
    return replace(run, evidence=Evidence(readings))


def _with_foreign_program(answer: Reading, hook: str, program: str) -> Reading:
    if not isinstance(answer, Answer):
        return answer
    [shown] = json.loads(answer.stdout)
    own = next((entry for entry in shown["tc"] if entry["kind"] == hook), None)
    if own is not None:
        shown["tc"].insert(0, {**own, "name": program, "prog_id": 7777, "link_id": 7777})
    return replace(answer, stdout=json.dumps([shown]).encode())


def pinned(run: PathRun, program_id: int) -> PathRun:
    """The run with a pinned link of this program for the source's `cil_from_container`."""
    answer = Answer(0, json.dumps({"id": 5, "prog_id": program_id, "ifindex": 9}).encode(), b"", 0.0, 0.0)
    endpoint = run.plan.source.endpoint
    assert endpoint is not None
    fact = bpftool.endpoint_link(run.plan.source.node.name, endpoint.endpoint_id, "cil_from_container")
    return replace(run, evidence=run.evidence.adding([fact], [answer]).adding([fact], [answer]))


def test_another_program_with_the_name_of_the_agents_own_is_reported() -> None:
    run = pinned(attached_first(recorded(FAILED), "tcx/ingress", "cil_from_container"), 4321)
    findings = {finding.hop: finding for finding in diagnose(run).findings}
    assert findings[HopName.SOURCE_PROGRAM].reason is Reason.FOREIGN_PROGRAM


def test_a_foreign_program_before_the_tunnels_program_is_reported_after_a_failure() -> None:
    run = attached_first(recorded(FAILED), "tcx/egress", "foreign")
    findings = {finding.hop: finding for finding in diagnose(run).findings}
    assert findings[HopName.OVERLAY_ENCAPSULATION].reason is Reason.FOREIGN_PROGRAM


def test_the_agents_own_program_alone_is_fine() -> None:
    findings = diagnose(recorded(FAILED)).findings
    assert Reason.FOREIGN_PROGRAM not in {finding.reason for finding in findings}


def coded(run: PathRun, *code: str) -> PathRun:
    """The run with the instructions of the foreign program."""
    shown = json.dumps([{"disasm": text} for text in code]).encode()
    nodes = {run.plan.source.node.name, *(known.name for known in run.plan.nodes)}
    for node in sorted(nodes):
        fact, answer = bpf_returns.fact(node, 7777), Answer(0, shown, b"", 0.0, 0.0)
        run = replace(run, evidence=run.evidence.adding([fact], [answer]).adding([fact], [answer]))
    return run


OBSERVES, DROPS = ("(18) r0 = 0xffffffff", "(95) exit"), ("(b7) r0 = 2", "(95) exit")


def test_a_foreign_program_that_only_observes_is_not_the_cause() -> None:
    run = coded(attached_first(recorded(FAILED), "tcx/egress", "foreign"), *OBSERVES)
    assert diagnose(run).divergence == diagnose(recorded(FAILED)).divergence
    findings = {finding.hop: finding for finding in diagnose(run).findings}
    assert findings[HopName.OVERLAY_ENCAPSULATION].reason is Reason.OK


@pytest.mark.parametrize("hook", ["tcx/ingress", "tcx/egress"])
def test_foreign_programs_that_pass_all_packets_on_are_no_fault(hook: str) -> None:
    run = coded(attached_first(recorded(FAILED), hook, "foreign"), *OBSERVES)
    assert Reason.FOREIGN_PROGRAM not in {finding.reason for finding in diagnose(run).findings}
    assert diagnose(run).divergence == diagnose(recorded(FAILED)).divergence
    healthy = coded(attached_first(recorded("healthy-cross-node"), hook, "foreign"), *OBSERVES)
    assert diagnose(healthy).verdict is ProbeVerdict.HEALTHY


def test_a_foreign_program_before_the_sources_own_that_may_drop_packets_is_a_latent_fault() -> None:
    run = coded(attached_first(recorded("healthy-cross-node"), "tcx/ingress", "foreign"), *DROPS)
    twice = Evidence({fact: (readings[-1], readings[-1]) for fact, readings in run.evidence})
    diagnosis = diagnose(replace(run, evidence=twice, second_look=True))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.FOREIGN_PROGRAM)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SOURCE_PROGRAM


def test_a_foreign_program_that_drops_is_the_cause() -> None:
    run = coded(attached_first(recorded(LOST), "tcx/egress", "foreign"), *DROPS)
    divergence = diagnose(run).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (
        HopName.OVERLAY_ENCAPSULATION,
        Reason.FOREIGN_PROGRAM,
    )
