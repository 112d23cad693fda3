"""The status: what the operator says. Built and written by `publish`, read back by `control` after a restart.

Whatever is too long is clipped when a model is built, so no verdict is lost because some tool was talkative.
`bounds.fitted` keeps the whole within what the API server should store.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, PlainSerializer, ValidationError, WithJsonSchema

from .model import ApiModel, Clip
from .vocabulary import HopName, HopVerdict, ProbeVerdict, Stance, Trigger

PATHS_LIMIT = 32
HOPS_LIMIT = 32
HISTORY_LIMIT = 50
FACTS_LIMIT = 32
SOURCES_LIMIT = 8
BACKENDS_LIMIT = 32
PACKETS_LIMIT = 96
RUN_NOW_CLIP = Clip(256)


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[AwareDatetime, PlainSerializer(_rfc3339)]
Name = Annotated[str, Clip(253)]
Line = Annotated[str, Clip(512)]
Text = Annotated[str, Clip(1024)]
Reason = Annotated[str, Clip(64)]
Latency = Annotated[str, Clip(24)]
Short = Annotated[str, Clip(24)]
Known = Annotated[str, Clip(64)]
Address = Annotated[str, Clip(45)]
Count = Annotated[int, Field(ge=0)]
# Plain strings outside: a status with a hop of the next version must not be refused by the CRD of this one.
Hop = Annotated[HopName, WithJsonSchema({"type": "string", "maxLength": 63})]


class ConditionStatus(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A condition, as Kubernetes writes them."""

    type: Annotated[str, Clip(64)]
    """Ready: the spec is valid and being run on schedule. Stalled: it can't be run. Reachable: the outcome is
    as expected. PathHealthy: no hop is Broken or Stale."""

    status: ConditionStatus
    """True, False or Unknown."""

    observed_generation: int | None = None
    """Generation of the probe that this condition is about."""

    last_transition_time: Time
    """When status changed last."""

    reason: Reason
    """Why, in one CamelCase word."""

    message: Text
    """Why, for people."""


class HopRef(ApiModel):
    """A hop that is singled out."""

    name: Hop
    """Name of the hop."""

    node: Name
    """Node on which the hop is."""

    reason: Reason
    """Why, in one CamelCase word; docs/errors.md explains each."""

    message: Text
    """Why, for people, and what to do next."""


class Segment(ApiModel):
    """The stretch of the path on which the packets were lost, when no hop can be named."""

    after: Hop
    """Last hop that is known to have been passed."""

    before: Hop
    """First hop that is known not to have been reached."""

    node: Name | None = None
    """Node on which the stretch lies, if it is one."""


class LastRun(ApiModel):
    """The last run."""

    id: Annotated[str, Clip(64)]
    """Identifier of the run, as in the operator's logs."""

    start_time: Time
    """When it started."""

    end_time: Time
    """When it ended."""

    trigger: Trigger
    """Why it started."""


class Counters(ApiModel):
    """Counts since the probe was made."""

    runs: Count = 0
    """Runs that ended."""

    failures: Count = 0
    """Runs with the verdict Broken."""

    consecutive_failures: Count = 0
    """Broken runs since the last one that was not."""

    consecutive_successes: Count = 0
    """Healthy or Degraded runs since the last one that was neither."""

    skipped: Count = 0
    """Runs that did not start, because the one before still lasted or the operator was away."""

    path_changes: Count = 0
    """Changes of the way that packets take."""


class PathSource(ApiModel):
    """The pod that sent the request."""

    pod: Name
    """Name of the pod."""

    node: Name
    """Node of the pod."""

    ip: Address
    """Address of the pod."""

    identity: int | None = None
    """Security identity of the pod."""


class PathDestination(ApiModel):
    """What answered, or should have."""

    name: Name | None = None
    """Name of the pod, if it is known which."""

    node: Name | None = None
    """Node of the pod."""

    ip: Address | None = None
    """Address of the pod."""

    port: int | None = None
    """Port of the pod."""

    identity: int | None = None
    """Security identity of the pod."""

    service_ip: Address | None = Field(default=None, alias="serviceIP")
    """Address of the Service that was requested."""


class Timings(ApiModel):
    """What curl measured, from the start of the request."""

    name_lookup: Latency | None = None
    """Until the name was resolved."""

    connect: Latency | None = None
    """Until the connection stood."""

    tls: Latency | None = None
    """Until TLS was negotiated."""

    first_byte: Latency | None = None
    """Until the first byte of the response."""

    total: Latency | None = None
    """Until the end."""


class RequestResult(ApiModel):
    """What curl reported."""

    exit_code: int
    """Exit code of curl."""

    http_status: int | None = None
    """Status code of the response."""

    local_port: int | None = None
    """Port from which the request came."""

    remote_ip: Address | None = Field(default=None, alias="remoteIP")
    """Address that curl connected to."""

    remote_port: int | None = None
    """Port that curl connected to."""

    error: Line | None = None
    """What curl said went wrong."""

    timings: Timings = Timings()
    """What curl measured, from the start of the request."""


class WitnessReport(ApiModel):
    """What one witness says about a hop."""

    stance: Stance
    """Agrees, Contradicts or Silent."""

    summary: Line = ""
    """What the witness says, for people."""

    facts: Annotated[Mapping[str, Annotated[str, Clip(256)]], Clip(FACTS_LIMIT)] = {}
    """The values it goes by."""


class HopEvidence(ApiModel):
    """What the three witnesses say about a hop; one that had nothing to say is left out."""

    intent: WitnessReport | None = None
    """What should be true, by the objects of Kubernetes and Cilium."""

    programmed: WitnessReport | None = None
    """What the datapath is programmed to do, by eBPF maps and attached programs."""

    observed: WitnessReport | None = None
    """What happened to this request, by curl, conntrack and events."""


class HopResult(ApiModel):
    """One hop of the path."""

    name: Hop
    """Name of the hop."""

    node: Name
    """Node on which the hop is."""

    object: Name | None = None
    """What was judged: a device, a map entry, an object."""

    verdict: HopVerdict
    """Ok, Stale (programmed otherwise than intended), Broken (the request failed here) or Unknown."""

    reason: Reason | None = None
    """Why not Ok, in one CamelCase word; docs/errors.md explains each."""

    message: Text | None = None
    """What was found, for people."""

    evidence: HopEvidence = HopEvidence()
    """What the three witnesses say about the hop."""


class PathResult(ApiModel):
    """One pair of source and destination, and the way between them."""

    source: PathSource
    """The pod that sent the request."""

    destination: PathDestination
    """What answered, or should have."""

    verdict: ProbeVerdict
    """Healthy, Degraded, Broken or Unknown."""

    fingerprint: Annotated[str, Clip(80)] | None = None
    """Digest of the way that packets take to this destination; changes when the way does, not when a load
    balancer chooses another backend. Absent while not all of the way is known, or something is in transition."""

    request: RequestResult | None = None
    """What curl reported."""

    symptom: HopRef | None = None
    """Where the packets died, when that is not the cause."""

    hops: Annotated[tuple[HopResult, ...], Clip(HOPS_LIMIT)] = ()
    """The hops of the path, in the order in which packets take them."""


class HistoryEntry(ApiModel):
    """One run of the past."""

    time: Time
    """When the run ended."""

    verdict: ProbeVerdict
    """Verdict of the run."""

    hop: Hop | None = None
    """Divergent hop, if there was one."""

    reason: Reason | None = None
    """Why not Healthy, in one CamelCase word."""

    latency: Latency | None = None
    """Time that the request took."""

    change: Annotated[str, Clip(120)] | None = None
    """What had changed in the way that packets take, if anything."""


class Place(ApiModel):
    """A pod and its node."""

    pod: Known
    """Name of the pod."""

    node: Known
    """Its node."""


class NodeEntry(ApiModel):
    """How packets of pods come under Cilium's care on a node."""

    node: Known
    """Name of the node."""

    attach: Short
    """How programs are attached: tcx, tc or netkit."""

    programs: Known
    """Names of the programs, in the order in which they run."""


class Way(ApiModel):
    """The way that packets take, as it was when it last stood still: what a new run is compared with."""

    since: Time
    """When the way was first seen to be this one."""

    change: Line | None = None
    """What changed then, in words; absent while the way is the first that was seen."""

    destination: Name
    """What is asked for: namespace/name:port."""

    routing: Short
    """How packets travel between nodes: vxlan, geneve or native."""

    load_balancing: Short
    """Who chooses the Service's backend: per packet (the source's program), socket (connect() in the pod), or none
    when no Service is asked."""

    endpoint_routes: bool = False
    """Whether pods have routes of their own."""

    sources: Annotated[tuple[Place, ...], Clip(SOURCES_LIMIT)] = ()
    """The pods that send requests."""

    backends: Annotated[tuple[Place, ...], Clip(BACKENDS_LIMIT)] = ()
    """The pods that may answer."""

    backend_count: Count = 0
    """How many may answer: more than are listed, if they are too many."""

    entries: Annotated[tuple[NodeEntry, ...], Clip(SOURCES_LIMIT + BACKENDS_LIMIT)] = ()
    """What is attached where packets of pods enter these nodes, as far as it was seen."""


class CapturedPacket(ApiModel):
    """One packet on one interface: headers only."""

    at: Latency
    """When, by its node's clock, from the first packet on that node."""

    node: Known
    """Node on which it was seen."""

    interface: Annotated[str, Clip(16)]
    """Interface on which it was seen."""

    direction: Annotated[str, Clip(3)]
    """out or in, as the node sees it."""

    outer: Annotated[str, Clip(64)] | None = None
    """Nodes that the tunnel's packet goes between: source → destination."""

    encapsulation: Short | None = None
    """The tunnel's protocol."""

    vni: int | None = None
    """The tunnel's network identifier: the security identity of the source."""

    source: Annotated[str, Clip(24)]
    """Address and port."""

    destination: Annotated[str, Clip(24)]
    """Address and port."""

    flags: Annotated[str, Clip(40)]
    """TCP flags."""

    length: Count
    """Bytes of the outermost IP packet."""

    payload: Count
    """Bytes of the request or response in it; they are not kept."""


class Capture(ApiModel):
    """The packets of a run, captured because somebody asked for it."""

    time: Time
    """When that run ended."""

    packets: Annotated[tuple[CapturedPacket, ...], Clip(PACKETS_LIMIT)] = ()
    """What was seen, node by node in the order of the path."""

    left_out: Count = 0
    """Packets that were seen and are not listed, or that the capture had no room for."""

    missing: Text | None = None
    """On which nodes nothing could be captured, and why."""


class ProbeStatus(ApiModel):
    """What the last run said, and what became of the runs before."""

    observed_generation: int | None = None
    """Generation of the probe that this status is about."""

    source: Line | None = None
    """Source, for columns and people: namespace/pod@node."""

    destination: Line | None = None
    """Destination, for columns and people: namespace/name:port."""

    verdict: ProbeVerdict | None = None
    """Healthy, Degraded, Broken or Unknown: what the last run said."""

    reason: Reason | None = None
    """Why, in one CamelCase word: the reason of the divergent hop, if there is one."""

    summary: Text | None = None
    """The last run in one sentence."""

    divergent_hop: HopRef | None = None
    """The hop that is to blame; absent when Healthy, or when only a segment is known."""

    segment: Segment | None = None
    """The stretch on which the packets were lost, when no hop can be named."""

    conditions: Annotated[
        tuple[Condition, ...],
        Clip(8),
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """Ready, Stalled, Reachable and PathHealthy. The last two change after as many runs in a row as
    spec.threshold says."""

    last_run: LastRun | None = None
    """The last run."""

    next_run_time: Time | None = None
    """When the next run is due; absent when suspended."""

    last_handled_run_now: Annotated[str, RUN_NOW_CLIP] | None = None
    """Value of the annotation datapath-probe.dev/run-now that was served last."""

    last_handled_capture: Annotated[str, RUN_NOW_CLIP] | None = None
    """Value of the annotation datapath-probe.dev/capture that was served last."""

    counters: Counters = Counters()
    """Counts since the probe was made."""

    paths: Annotated[tuple[PathResult, ...], Clip(PATHS_LIMIT)] = ()
    """The pairs of source and destination of the last run, the worst first."""

    capture: Capture | None = None
    """The packets that were captured last, on request."""

    way: Way | None = None
    """The way that packets take, and what changed in it last."""

    history: Annotated[tuple[HistoryEntry, ...], Clip(HISTORY_LIMIT)] = ()
    """The last runs, newest first, as many as spec.history.limit says."""

    @classmethod
    def from_object(cls, status: Any) -> Self:
        """What can be read of a status from the API server, which another version may have written."""
        if not isinstance(status, dict):
            return cls()
        try:
            return cls.model_validate(status, extra="ignore")
        except ValidationError as error:
            unreadable = {problem["loc"][0] for problem in error.errors()}
            readable = {field: value for field, value in status.items() if field not in unreadable}
            return cls.model_validate(readable, extra="ignore")

    def to_object(self) -> dict[str, Any]:
        """The status as JSON values, for the API server."""
        return self.model_dump(mode="json", exclude_none=True)
