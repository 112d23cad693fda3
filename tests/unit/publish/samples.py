"""Runs as diagnosis returns them, for tests of `publish`."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.api.probe import Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import (
    Encapsulation,
    HopName,
    HopVerdict,
    LoadBalancing,
    Locality,
    ProbeVerdict,
    Stance,
    Trigger,
    Witness,
)
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Divergence, Finding, Segment, Statement
from datapath_probe.diagnose.finding.path_profile import ObservedAttachment, ObservedPathProfile
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.runs.run_result import RunRecord, RunResult
from datapath_probe.sources.client_report import ClientFailure, ClientReport, Timings
from unit.cluster import cluster, resolve
from unit.cluster import probe as cluster_probe

NOW = 1_790_000_000.0
SERVICE = {"service": {"name": "deathstar", "port": 80}}
HOPS = (
    (HopName.IPAM, "node2"),
    (HopName.SOURCE_INTERFACE, "node2"),
    (HopName.SERVICE_LOOKUP, "node2"),
    (HopName.IPCACHE_LOOKUP, "node2"),
    (HopName.ENDPOINT_LOOKUP, "node1"),
    (HopName.DESTINATION_RESPONSE, "node1"),
)


def probe(
    *, uid: str = "uid-probe", generation: int = 1, run_now: str | None = None, **spec: object
) -> Probe:
    """A probe from xwing to the Service deathstar."""
    made = cluster_probe(SERVICE, **spec)
    return replace(made, meta=replace(made.meta, uid=uid, generation=generation, run_now=run_now))


def plan() -> Plan:
    """The plan of that probe."""
    (made,) = resolve(probe(), cluster())
    assert isinstance(made, Plan)
    return made


REPORT = ClientReport(
    failure=None,
    exit_code=0,
    connected=True,
    status=200,
    error="",
    local_ip=ip_address("10.244.1.27"),
    local_port=20001,
    remote_ip=ip_address("10.96.57.217"),
    remote_port=80,
    timings=Timings(name_lookup=0.0012, connect=0.002, tls=0.0, first_byte=0.0066, total=0.0076),
    body=b"",
)


def finding(
    hop: HopName,
    node: str,
    verdict: HopVerdict = HopVerdict.OK,
    reason: Reason = Reason.OK,
    facts: Mapping[str, str] | None = None,
) -> Finding:
    """A finding about a hop on which intent and the datapath agree, or not."""
    stance = Stance.AGREES if verdict is HopVerdict.OK else Stance.CONTRADICTS
    return Finding(
        hop=hop,
        node=node,
        object=f"object of {hop}",
        verdict=verdict,
        reason=reason,
        message=f"{hop} says so",
        evidence={
            Witness.INTENT: Statement(Stance.AGREES, "as Kubernetes has it", {"pod": "10.244.0.172"}),
            Witness.PROGRAMMED: Statement(stance, "as the map has it", facts or {"identity": "57017"}),
        },
    )


PROFILE = ObservedPathProfile(
    destination="default/deathstar:80",
    routing="vxlan",
    load_balancing=LoadBalancing.PER_PACKET,
    endpoint_routes=False,
    sources={"xwing": "node2"},
    backends={"deathstar-0": "node1", "deathstar-1": "node2"},
    backend_count=2,
    node_attachments={
        node: ObservedAttachment("tcx", ("cil_from_container",)) for node in ("node1", "node2")
    },
)


def healthy(profile: ObservedPathProfile | None = PROFILE) -> Diagnosis:
    """A run with every hop Ok."""
    made = plan()
    return Diagnosis(
        plan=made,
        backend=made.backends[0],
        report=REPORT,
        local_port=20001,
        locality=Locality.CROSS_NODE,
        encapsulation=Encapsulation.VXLAN,
        met=True,
        verdict=ProbeVerdict.HEALTHY,
        reason=Reason.ALL_HOPS_OK,
        message="all 6 hops ok",
        divergence=None,
        segment=None,
        symptom=None,
        findings=tuple(finding(hop, node) for hop, node in HOPS),
        profile=profile,
    )


def diverging(
    verdict: ProbeVerdict = ProbeVerdict.BROKEN,
    hop: HopName = HopName.IPCACHE_LOOKUP,
    reason: Reason = Reason.WRONG_TUNNEL_ENDPOINT,
) -> Diagnosis:
    """A run with this divergent hop."""
    broken = verdict is ProbeVerdict.BROKEN
    node = dict(HOPS)[hop]
    bad = finding(hop, node, HopVerdict.BROKEN if broken else HopVerdict.STALE, reason)
    return replace(
        healthy(),
        met=not broken,
        verdict=verdict,
        reason=reason,
        message=bad.message,
        divergence=Divergence(hop, node, reason, bad.message),
        findings=tuple(bad if found.hop is hop else found for found in healthy().findings),
    )


def lost() -> Diagnosis:
    """A run of which only a segment is known."""
    return replace(
        healthy(),
        met=False,
        verdict=ProbeVerdict.BROKEN,
        reason=Reason.LOST_IN_TRANSIT,
        message="curl exit 28: timed out",
        report=replace(
            REPORT, failure=ClientFailure.TIMED_OUT, exit_code=28, status=0, remote_ip=None, remote_port=0
        ),
        segment=Segment(HopName.IPCACHE_LOOKUP, HopName.ENDPOINT_LOOKUP, ""),
    )


def unknown(met: bool | None = None) -> Diagnosis:
    """A run with one hop that can't be judged; `met`: whether the request succeeded."""
    blind = finding(HopName.ENDPOINT_LOOKUP, "node1", HopVerdict.UNKNOWN, Reason.AGENT_NOT_READY)
    return replace(
        healthy(),
        met=met,
        verdict=ProbeVerdict.UNKNOWN,
        reason=Reason.AGENT_NOT_READY,
        message="the agent on node1 is not ready",
        findings=tuple(blind if found.hop is blind.hop else found for found in healthy().findings),
    )


def unjudged(met: bool) -> Diagnosis:
    """A run with this outcome whose path can't be judged because of Cilium's settings."""
    return replace(unknown(met), reason=Reason.UNSUPPORTED_CONFIGURATION, message="Cilium runs with netkit")


CANNOT_RUN = CannotRun(Reason.SOURCE_NOT_FOUND, "there is no pod default/xwing", source="default/xwing")


def record(
    outcome: Diagnosis | CannotRun, at: float = NOW, trigger: Trigger = Trigger.SCHEDULE, id_: str = "run"
) -> RunRecord:
    """A run that ended 0.1 s after `at`."""
    return RunRecord(id_, trigger, at, RunResult(at, at + 0.1, (outcome,)))


def from_pod(found: Diagnosis, number: int, node: str = "node2") -> Diagnosis:
    """The same run from another source pod: `xwing-<number>` on this node."""
    source = found.plan.source
    pod = replace(source.pod, name=f"xwing-{number}", node=node)
    moved = replace(source, pod=pod, node=replace(source.node, name=node))
    profile = found.profile and replace(found.profile, sources={pod.name: node})
    return replace(found, plan=replace(found.plan, source=moved), profile=profile)


def record_of(*outcomes: Diagnosis | CannotRun, at: float = NOW) -> RunRecord:
    """The record of a run with these paths."""
    return RunRecord("run", Trigger.SCHEDULE, at, RunResult(at, at + 0.1, outcomes))
