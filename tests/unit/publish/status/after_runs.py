"""Statuses after runs, for the tests of `publish.status`."""

from collections.abc import Iterable

from datapath_probe.api.probe import Probe
from datapath_probe.api.status.condition import Condition
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import NOW, probe, record


def after(
    outcomes: Iterable[Diagnosis | CannotRun],
    of: Probe | None = None,
    previous: ProbeStatus | None = None,
    every_s: float = 60,
) -> ProbeStatus:
    """The status after these runs."""
    current = previous or ProbeStatus()
    for number, outcome in enumerate(outcomes):
        at = NOW + number * every_s
        current = statuses.after_run(current, of or probe(), record(outcome, at), NextRun(at + every_s))
    return current


def condition(status: ProbeStatus, type_: str) -> Condition:
    return next(found for found in status.conditions if found.type == type_)


def says(status: ProbeStatus) -> dict[str, str]:
    return {found.type: found.status for found in status.conditions}
