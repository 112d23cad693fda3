"""Inputs of the verdict from recorded runs, with changed findings or answers."""

import tarfile
from dataclasses import replace
from functools import cache

from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.examination import Examination
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.diagnose.verdict.verdict_input import VerdictInput
from faults.recordings import ARCHIVES
from unit.recorded import recorded


@cache
def of_bench(mode: str, fault: str, version: str = "1.18.5") -> PathRun:
    """A run of the fault bench."""
    with tarfile.open(ARCHIVES / f"cilium-{version}-{mode}.tar.xz") as archive:
        member = archive.extractfile(f"{fault}.json")
        assert member is not None
        return Bundle.from_json(member.read()).run


@cache
def given_by_recorded(run: str) -> VerdictInput:
    """What the verdict on a recorded run depends on."""
    return given_by(recorded(run))


def given_by(run: PathRun) -> VerdictInput:
    """What the verdict on this run depends on."""
    return Examination.of(run).verdict_input()


def found(of: VerdictInput, hop: HopName) -> Finding:
    """The finding of this hop."""
    return next(finding for finding in of.findings if finding.hop is hop)


def checked(run: PathRun, hop: HopName) -> Finding:
    """The finding of the check alone, without events."""
    examination = Examination.of(run)
    return next(f for f in examination.findings(examination.context) if f.hop is hop)


def finding_of(run: str, hop: HopName) -> Finding:
    """The finding of a hop in a recorded run."""
    return found(given_by_recorded(run), hop)


def with_findings(of: VerdictInput, *others: Finding) -> VerdictInput:
    """The same with findings of other runs in place of its own at their hops, on the nodes of its own."""
    instead = {other.hop: other for other in others}
    return replace(
        of,
        findings=tuple(
            replace(instead[own.hop], node=own.node) if own.hop in instead else own for own in of.findings
        ),
    )
