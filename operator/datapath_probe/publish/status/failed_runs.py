"""The newest runs that were not Healthy, for the status. Called by `status`. Pure."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ...api.probe import ProbeMeta
from ...api.status.past_runs import FAILURES_LIMIT, FailedRun
from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ...runs.run_result import RunRecord
from .saved_run import RunKind, bundle_name, run_name, stem, worst_bundle

IsKept = Callable[[str], bool]
"""Whether the evidence in a file of this name is kept, or is about to be saved."""


def after_run(
    failures: Sequence[FailedRun],
    found: ProbeStatus,
    probe: ProbeMeta,
    record: RunRecord,
    kind: RunKind,
    is_kept: IsKept | None,
) -> tuple[FailedRun, ...]:
    """The failed runs after a run, the newest first. `is_kept`: None if no evidence is saved."""
    earlier = [_without_deleted(failed, is_kept) for failed in failures]
    if kind.verdict is ProbeVerdict.HEALTHY:
        return tuple(earlier)
    saved = is_kept and record.result.bundles
    run = run_name(stem(probe.namespace, probe.name), record)
    failed = FailedRun(
        time=datetime.fromtimestamp(record.result.ended, UTC),
        run_id=record.id,
        verdict=kind.verdict,
        hop=found.divergent_hop.name if found.divergent_hop else None,
        reason=record.result.worst.reason,
        message=record.result.worst.message,
        evidence=bundle_name(run, worst_bundle(record), kind) if saved else None,
    )
    return (failed, *earlier)[:FAILURES_LIMIT]


def _without_deleted(failed: FailedRun, is_kept: IsKept | None) -> FailedRun:
    if failed.evidence is None or is_kept is None or is_kept(failed.evidence):
        return failed
    return failed.model_copy(update={"evidence": None})
