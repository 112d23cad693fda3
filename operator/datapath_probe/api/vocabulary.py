"""The closed vocabularies of the API: hops, verdicts, stances, triggers.

All values appear in `.status` and in metric labels, so a change is an API change.
"""

from enum import StrEnum


class HopName(StrEnum):
    """Every hop a packet can pass, in the order in which Cilium's code runs them."""

    IPAM = "ipam"
    SOURCE_INTERFACE = "source-interface"
    SOURCE_PROGRAM = "source-program"
    NAME_RESOLUTION = "name-resolution"
    SERVICE_LOOKUP = "service-lookup"
    SERVICE_TRANSLATION = "service-translation"
    IPCACHE_LOOKUP = "ipcache-lookup"
    EGRESS_POLICY = "egress-policy"
    LOCALITY_LOOKUP = "locality-lookup"
    OVERLAY_ENCAPSULATION = "overlay-encapsulation"
    NODE_ROUTING = "node-routing"
    OVERLAY_DECAPSULATION = "overlay-decapsulation"
    MASQUERADE = "masquerade"
    CLUSTER_EXIT = "cluster-exit"
    SOURCE_IDENTITY = "source-identity"
    ENDPOINT_LOOKUP = "endpoint-lookup"
    DESTINATION_PROGRAM = "destination-program"
    INGRESS_POLICY = "ingress-policy"
    DESTINATION_INTERFACE = "destination-interface"
    DESTINATION_RESPONSE = "destination-response"
    REPLY_PROGRAM = "reply-program"
    REPLY_IPCACHE = "reply-ipcache"
    REPLY_ENCAPSULATION = "reply-encapsulation"
    REPLY_ROUTING = "reply-routing"
    REPLY_DECAPSULATION = "reply-decapsulation"
    REPLY_DELIVERY = "reply-delivery"
    REPLY_TRANSLATION = "reply-translation"


HOP_ORDER: dict[HopName, int] = {hop: position for position, hop in enumerate(HopName)}


class HopVerdict(StrEnum):
    """The verdict of one hop, from all three witnesses."""

    OK = "Ok"
    STALE = "Stale"
    BROKEN = "Broken"
    UNKNOWN = "Unknown"


class ProbeVerdict(StrEnum):
    """The verdict of one run; also of a single path."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    BROKEN = "Broken"
    UNKNOWN = "Unknown"


class Witness(StrEnum):
    """The three sources of evidence: API objects, the eBPF datapath, the packets of this run."""

    INTENT = "intent"
    PROGRAMMED = "programmed"
    OBSERVED = "observed"


class Stance(StrEnum):
    """What one witness says about one hop."""

    AGREES = "Agrees"
    CONTRADICTS = "Contradicts"
    SILENT = "Silent"


class Trigger(StrEnum):
    """Why a run started."""

    SCHEDULE = "Schedule"
    RUN_NOW = "RunNow"
    SPEC_CHANGE = "SpecChange"
    START = "Start"


class Severity(StrEnum):
    """The severities that a probe can give its alerts; monitoring routes by them."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    NONE = "none"


class ExpectedOutcome(StrEnum):
    """The expected outcome of a request."""

    DELIVERED = "Delivered"
    DENIED = "Denied"


class WorkloadKind(StrEnum):
    """The kinds of workloads whose pods a probe can name."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    REPLICA_SET = "ReplicaSet"
    JOB = "Job"


class FrontendType(StrEnum):
    """The address of a Service that clients connect to."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"


class Locality(StrEnum):
    """The node of the destination, relative to the source's."""

    SAME_NODE = "SameNode"
    CROSS_NODE = "CrossNode"


class Encapsulation(StrEnum):
    """How packets travel between nodes."""

    VXLAN = "vxlan"
    GENEVE = "geneve"
    NONE = "none"


class LoadBalancing(StrEnum):
    """Where the backend of a Service is selected."""

    PER_PACKET = "PerPacket"
    SOCKET = "Socket"
    NONE = "None"
