"""The largest status that the models accept: every field set, every string, list and map full."""

from datetime import UTC, datetime

from datapath_probe.api.status.condition import Condition, ConditionStatus
from datapath_probe.api.status.hop_result import HopEvidence, HopRef, HopResult, Segment, WitnessReport
from datapath_probe.api.status.past_runs import FailedRun, Outage
from datapath_probe.api.status.path_profile import NodeAttachment, PathProfile, PodPlacement
from datapath_probe.api.status.path_result import (
    Assumption,
    PathDestination,
    PathResult,
    PathSource,
    RequestResult,
    Timings,
)
from datapath_probe.api.status.probe_status import (
    Counters,
    HistoryEntry,
    LastRun,
    PathCounts,
    ProbeStatus,
)
from datapath_probe.api.vocabulary import (
    HopName,
    HopVerdict,
    LoadBalancing,
    ProbeVerdict,
    Stance,
    Trigger,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
LONG = "星" * 5000
BIG = 2**62

_HOP = HopRef(name=HopName.OVERLAY_ENCAPSULATION, node=LONG, reason=LONG, message=LONG, next=LONG)
_REPORT = WitnessReport(
    stance=Stance.CONTRADICTS, summary=LONG, facts={f"fact number {n}": LONG for n in range(100)}
)


def hop(verdict: HopVerdict) -> HopResult:
    return HopResult(
        name=HopName.OVERLAY_ENCAPSULATION,
        node=LONG,
        object=LONG,
        verdict=verdict,
        reason=LONG,
        message=LONG,
        next=LONG,
        evidence=HopEvidence(intent=_REPORT, programmed=_REPORT, observed=_REPORT),
    )


def path(hops: int) -> PathResult:
    verdicts = [HopVerdict.STALE, *[HopVerdict.OK] * (hops - 1)]
    timing = "9" * 50
    return PathResult(
        source=PathSource(pod=LONG, node=LONG, ip=LONG, identity=BIG),
        destination=PathDestination(name=LONG, node=LONG, ip=LONG, port=65535, identity=BIG, service_ip=LONG),
        verdict=ProbeVerdict.DEGRADED,
        fingerprint=LONG,
        request=RequestResult(
            exit_code=99,
            http_status=599,
            local_port=65535,
            remote_ip=LONG,
            remote_port=65535,
            error=LONG,
            timings=Timings(name_lookup=timing, connect=timing, tls=timing, first_byte=timing, total=timing),
        ),
        symptom=_HOP,
        assumptions=(Assumption(hop=HopName.OVERLAY_ENCAPSULATION, message=LONG),) * 100,
        hops=tuple(hop(verdict) for verdict in verdicts),
    )


def largest_status(paths: int = 1, hops: int = 100) -> ProbeStatus:
    """A status with every field full, and with this number of paths and hops."""
    condition = Condition(
        type="Ready",
        status=ConditionStatus.FALSE,
        observed_generation=BIG,
        last_transition_time=NOW,
        reason="A" * 500,
        message=LONG,
    )
    entry = HistoryEntry(
        time=NOW,
        verdict=ProbeVerdict.UNKNOWN,
        hop=HopName.OVERLAY_ENCAPSULATION,
        reason=LONG,
        latency=LONG,
        path_healthy=ConditionStatus.UNKNOWN,
        path_change=LONG,
    )
    placement = PodPlacement(pod=LONG, node=LONG)
    return ProbeStatus(
        observed_generation=BIG,
        source=LONG,
        destination=LONG,
        verdict=ProbeVerdict.DEGRADED,
        reason=LONG,
        summary=LONG,
        next=LONG,
        divergent_hop=_HOP,
        segment=Segment(after=HopName.IPAM, before=HopName.OVERLAY_ENCAPSULATION, node=LONG),
        conditions=tuple(condition.model_copy(update={"type": f"Type{n}"}) for n in range(8)),
        last_run=LastRun(id=LONG, start_time=NOW, end_time=NOW, trigger=Trigger.RUN_NOW),
        next_run_time=NOW,
        last_handled_run_now=LONG,
        counters=Counters(
            runs=BIG,
            failures=BIG,
            consecutive_failures=BIG,
            consecutive_successes=BIG,
            consecutive_path_failures=BIG,
            consecutive_path_successes=BIG,
            streak_start_time=NOW,
            outages=BIG,
            skipped=BIG,
        ),
        path_counts=PathCounts(total=BIG, healthy=BIG, degraded=BIG, broken=BIG, unknown=BIG, not_run=BIG),
        paths=(path(hops),) * paths,
        path_profile=PathProfile(
            last_change_time=NOW,
            last_change=LONG,
            change_count=BIG,
            destination=LONG,
            routing=LONG,
            load_balancing=LoadBalancing.PER_PACKET,
            endpoint_routes=True,
            sources=(placement,) * 100,
            backends=(placement,) * 100,
            backend_count=BIG,
            node_attachments=(NodeAttachment(node=LONG, attach_mode=LONG, programs=(LONG,) * 100),) * 100,
        ),
        outages=(Outage(start_time=NOW, end_time=NOW, hop=_HOP.name, node=LONG, reason=LONG, runs=BIG),)
        * 100,
        failures=(
            FailedRun(
                time=NOW,
                run_id=LONG,
                verdict=ProbeVerdict.BROKEN,
                hop=_HOP.name,
                reason=LONG,
                message=LONG,
                evidence=LONG,
            ),
        )
        * 100,
        history=(entry,) * 100,
    )
