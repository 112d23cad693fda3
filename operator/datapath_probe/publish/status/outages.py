"""Outages of a probe: when they begin, go on and end. Called by `status`. Pure.

They follow the condition ExpectationMet, and so `spec.threshold`: what is an outage here is one for alerts and GitOps
tools, too. A run that could not tell, a suspension or a restart neither begins nor ends one.
"""

from collections.abc import Sequence

from ...api.status.condition import Condition, ConditionStatus
from ...api.status.past_runs import OUTAGES_LIMIT, Outage
from ...api.status.probe_status import Counters, ProbeStatus
from .conditions import FALSE, TRUE


def current(outages: Sequence[Outage]) -> Outage | None:
    """The outage that lasts."""
    return outages[0] if outages and outages[0].end_time is None else None


def after_run(
    outages: Sequence[Outage],
    found: ProbeStatus,
    met: ConditionStatus,
    expectation_met: Condition,
    counters: Counters,
) -> tuple[Outage, ...]:
    """The outages after a run, the newest first. `met`: by this run alone. `counters` include this run."""
    lasting = current(outages)
    if lasting is None:
        begins = met is FALSE and expectation_met.status is FALSE
        new = (_begun(found, expectation_met, counters),) if begins else ()
        return (*new, *outages)[:OUTAGES_LIMIT]
    if expectation_met.status is TRUE:
        lasting = lasting.model_copy(update={"end_time": counters.streak_start_time})
    elif met is FALSE:
        lasting = _with_run(lasting, found)
    return (lasting, *outages[1:])


def counted(counters: Counters, before: Sequence[Outage], after: Sequence[Outage]) -> Counters:
    """The counters with an outage that began."""
    begins = current(after) is not None and current(before) is None
    return counters.model_copy(update={"outages": counters.outages + begins})


def _begun(found: ProbeStatus, expectation_met: Condition, counters: Counters) -> Outage:
    """An earlier version did not keep the start of a streak: then the condition says since when."""
    since = expectation_met.last_transition_time
    return Outage(
        start_time=min(counters.streak_start_time or since, since),
        runs=counters.consecutive_failures,
        **_place(found),
    )


def _with_run(lasting: Outage, found: ProbeStatus) -> Outage:
    place = {} if lasting.hop else _place(found)
    return lasting.model_copy(update={"runs": lasting.runs + 1, **place})


def _place(found: ProbeStatus) -> dict[str, str | None]:
    hop, segment = found.divergent_hop, found.segment
    return {
        "hop": hop.name if hop else None,
        "node": hop.node if hop else segment.node if segment else None,
        "reason": found.reason or "",
    }
