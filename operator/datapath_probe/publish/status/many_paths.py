"""Describes a run of several paths: how many have which verdict, and where they fail. Called by `status`. Pure."""

from collections.abc import Callable, Sequence

from ...api.probe import Probe
from ...api.spec.durations import duration
from ...api.status.probe_status import PathCounts
from ...api.vocabulary import ProbeVerdict
from ...diagnose.finding.diagnosis import Diagnosis
from ...runs.run_result import Outcome, verdict_of
from .counts import path_counts
from .summary import destination_text, source_text


def pair_text(outcome: Outcome, probe: Probe | None = None) -> str:
    """ "default/xwing@node2 → default/deathstar:80 → 10.244.0.157@node1"."""
    ends = [source_text(outcome, probe), destination_text(outcome, probe)]
    backend = outcome.backend if isinstance(outcome, Diagnosis) else None
    if backend:
        ends.append(f"{backend.ip}@{backend.place.name}" if backend.place else str(backend.ip))
    return " → ".join(end for end in ends if end)


def ends_text(
    outcomes: Sequence[Outcome], probe: Probe | None, text: Callable[[Outcome, Probe | None], str]
) -> str:
    """ "default/xwing@node2", or "default/xwing@node2 and 11 more", starting with the worst path."""
    first, *others = dict.fromkeys(filter(None, (text(outcome, probe) for outcome in outcomes))) or [""]
    return f"{first} and {len(others)} more" if others else first


def paths_text(outcomes: Sequence[Outcome]) -> str:
    """ "3 of 12 paths broken, all on node2; 1 degraded", or "12 of 12 paths healthy, at most 7.6ms"."""
    counts = path_counts(outcomes)
    by_verdict = {
        ProbeVerdict.BROKEN: counts.broken,
        ProbeVerdict.DEGRADED: counts.degraded,
        ProbeVerdict.UNKNOWN: counts.unknown,
    }
    (worst, number), *others = [(v, n) for v, n in by_verdict.items() if n] or [
        (ProbeVerdict.HEALTHY, counts.healthy)
    ]
    text = f"{number} of {counts.total} paths {worst.lower()}"
    if worst is ProbeVerdict.HEALTHY:
        return text + _slowest(outcomes)
    nodes = {_node(outcome) for outcome in outcomes if verdict_of(outcome) is worst}
    if nodes != {""} and len(nodes) == 1:
        text += f", {'all ' if number > 1 else ''}on {nodes.pop()}"
    rest = ", ".join(f"{n} {verdict.lower()}" for verdict, n in others)
    return f"{text}; {rest}" if rest else text


def turns_text(counts: PathCounts | None) -> str:
    """ "; one run has 64 of 100 pairs, which take turns (--max-pairs)", if there are more than one run may have."""
    if counts is None or not counts.not_run:
        return ""
    run = counts.total - counts.not_run
    return f"; one run has {run} of {counts.total} pairs, which take turns (--max-pairs)"


def _node(outcome: Outcome) -> str:
    """The node of the divergent hop or the segment; "" if unknown."""
    if not isinstance(outcome, Diagnosis):
        return ""
    if outcome.divergence:
        return outcome.divergence.node
    return outcome.segment.node if outcome.segment else ""


def _slowest(outcomes: Sequence[Outcome]) -> str:
    reports = [outcome.report for outcome in outcomes if isinstance(outcome, Diagnosis)]
    slowest_s = max((report.timings.total for report in reports if report), default=0.0)
    return f", at most {duration(slowest_s)}" if slowest_s else ""
