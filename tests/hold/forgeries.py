"""Output that is not what it claims to be: of agents, of nodes and of curl."""

import asyncio
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.writes.probes import Probes
from datapath_probe.publish.interfaces import Written
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from datapath_probe.tools.commands import command_of
from hold.attack import Attack, Bar
from integration.apiserver import ApiServer, running
from integration.kube.cluster import create_probe
from integration.kube.test_refused_statuses import CRD, ESSENTIAL, stored, use
from unit.kube.exec.test_forged_replies import shared_by
from unit.mutated.mutations import mutated_run
from unit.publish.samples import NOW, probe, record
from unit.recorded import names, recorded

FORGED_END = "o 0 1.5.5\n@x 1.00\n"
SHARE = 3
RECORDED, MUTATIONS = 30, 50
HUGE = 10**30


def failed_runs() -> float:
    with pytest.MonkeyPatch.context() as patch:
        received = asyncio.run(shared_by(SHARE, patch, FORGED_END))
    return sum(isinstance(one, BaseException) for one in received)


def exceptions() -> float:
    """Runs in which the diagnosis, the questions or one check raised an exception."""
    chosen = names()[:: len(names()) // RECORDED][:RECORDED]
    return sum(_raises(mutated_run(seed, name).run) for name in chosen for seed in range(MUTATIONS))


def _raises(run: PathRun) -> bool:
    try:
        diagnosis = diagnose(run)
        for fact in facts_of(run):
            command_of(fact)
    except Exception:
        return True
    reasons = {diagnosis.reason, *(finding.reason for finding in diagnosis.findings)}
    return Reason.INTERNAL_ERROR in reasons


def written_statuses() -> float:
    """Statuses that the API server has stored: one after a forged report of curl, and one with the number itself."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        return asyncio.run(_written_statuses(api))


async def _written_statuses(api: ApiServer) -> int:
    use(api, CRD)
    api.wait_for("get", "datapathprobes")
    after_run = statuses.after_run(
        ProbeStatus(), probe(), record(diagnose(_forged_report())), NextRun(NOW + 60)
    )
    written = 0
    async with connect(await load_configuration(str(api.kubeconfig))) as kube:
        ref = await create_probe(kube)
        for status, expected in (
            (after_run.to_object(), after_run.to_object()),
            ({**ESSENTIAL, "counters": {"runs": HUGE}}, ESSENTIAL),
        ):
            result = await Probes(kube).write(ref, status)
            written += isinstance(result, Written) and await stored(kube) == expected
    return written


def _forged_report() -> PathRun:
    """A healthy run whose curl reports such a port and such a status code."""
    run = recorded("healthy-service-cross-node")
    reading = run.request.reading
    if not isinstance(reading, Answer):
        raise TypeError("the run has no report of curl")
    report = re.sub(rb'("remote_port"|"http_code"):\s*\d+', rb"\1:%d" % HUGE, reading.stderr)
    if report == reading.stderr:
        raise RuntimeError("the report of curl has neither port nor status code")
    return replace(run, request=replace(run.request, reading=replace(reading, stderr=report)))


ATTACKS = (
    Attack(
        "a forged frame in the reply to a batch that 3 runs share: runs that fail",
        "3, all of them",
        Bar(f"of {SHARE}", at_most=0),
        failed_runs,
    ),
    Attack(
        "1,500 recorded runs with mutated output: exceptions",
        "29",
        Bar(f"of {RECORDED * MUTATIONS:,}", at_most=0),
        exceptions,
    ),
    Attack(
        "10^30 in the report of curl, and in a status: statuses written",
        "none, refused again and again",
        Bar("of 2", at_least=2),
        written_statuses,
    ),
)
