"""Every reason that a condition, a hop or a metric label can have.

docs/errors.md describes each: cause, evidence, what to do next (a test compares the two).
"""

from enum import StrEnum


class Reason(StrEnum):
    """CamelCase constants, grouped by where they come from."""

    # success
    ALL_HOPS_OK = "AllHopsOk"
    OK = "Ok"
    DELIVERED = "Delivered"
    DENIED = "Denied"
    SCHEDULED = "Scheduled"
    SUSPENDED = "Suspended"

    # the run could not take place or can't be judged
    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_NOT_RUNNING = "SourceNotRunning"
    CONTAINER_NOT_FOUND = "ContainerNotFound"
    CONTAINER_NOT_RUNNING = "ContainerNotRunning"
    DESTINATION_NOT_FOUND = "DestinationNotFound"
    DESTINATION_NOT_RUNNING = "DestinationNotRunning"
    PORT_NOT_FOUND = "PortNotFound"
    INVALID_OBJECT = "InvalidObject"
    NO_COMMON_IP_VERSION = "NoCommonIPVersion"
    UNSUPPORTED_CONFIGURATION = "UnsupportedConfiguration"
    UNSUPPORTED_DESTINATION = "UnsupportedDestination"
    HOST_NETWORK_FORBIDDEN = "HostNetworkForbidden"
    METHOD_FORBIDDEN = "MethodForbidden"
    CONTAINER_USER_FORBIDDEN = "ContainerUserForbidden"
    TOO_MANY_ENDPOINTS = "TooManyEndpoints"
    INVALID_SPEC = "InvalidSpec"
    TOO_MANY_PROBES = "TooManyProbes"
    CURL_NOT_FOUND = "CurlNotFound"
    CURL_FAILED = "CurlFailed"
    IMPLAUSIBLE_CLIENT_REPORT = "ImplausibleClientReport"
    LOCAL_PORT_IN_USE = "LocalPortInUse"
    RUN_TIMEOUT = "RunTimeout"
    IN_TRANSITION = "InTransition"
    INTERNAL_ERROR = "InternalError"

    # evidence that could not be collected (the values of evidence.errors)
    NOT_COLLECTED = "NotCollected"
    EVIDENCE_TIMEOUT = "EvidenceTimeout"
    CHANNEL_LOST = "ChannelLost"
    EXEC_FORBIDDEN = "ExecForbidden"
    EXEC_FAILED = "ExecFailed"
    POD_NOT_FOUND = "PodNotFound"
    NO_SUCH_EXECUTABLE = "NoSuchExecutable"
    STDIN_UNSUPPORTED = "StdinUnsupported"
    COMMAND_FAILED = "CommandFailed"
    UNPARSABLE_OUTPUT = "UnparsableOutput"
    TRUNCATED_OUTPUT = "TruncatedOutput"
    ANSWERS_TOO_LARGE = "AnswersTooLarge"
    TOO_MANY_RULES = "TooManyRules"
    AGENT_NOT_FOUND = "AgentNotFound"
    AGENT_NOT_READY = "AgentNotReady"
    AGENT_NOT_RESPONDING = "AgentNotResponding"
    UNSUPPORTED_VERSION = "UnsupportedVersion"
    UNCONFIRMED = "Unconfirmed"
    NOT_OBSERVED = "NotObserved"

    # intent: objects that contradict each other
    ADDRESS_OUTSIDE_POD_CIDR = "AddressOutsidePodCIDR"
    CILIUM_ENDPOINT_MISSING = "CiliumEndpointMissing"
    CILIUM_ENDPOINT_MISMATCH = "CiliumEndpointMismatch"
    CILIUM_ENDPOINT_NOT_READY = "CiliumEndpointNotReady"
    CILIUM_NODE_MISSING = "CiliumNodeMissing"
    CILIUM_NODE_MISMATCH = "CiliumNodeMismatch"

    # interfaces and programs
    NAMESPACE_NOT_FOUND = "NetworkNamespaceNotFound"
    INTERFACE_MISSING = "InterfaceMissing"
    INTERFACE_DOWN = "InterfaceDown"
    INTERFACE_MISMATCH = "InterfaceMismatch"
    MAC_MISMATCH = "MACMismatch"
    ROUTE_MISSING = "RouteMissing"
    PROGRAM_MISSING = "ProgramMissing"
    FOREIGN_PROGRAM = "ForeignProgram"

    # service
    DNS_LOOKUP_FAILED = "DNSLookupFailed"
    DNS_NO_ADDRESS = "DNSNoAddress"
    DNS_TIMEOUT = "DNSTimeout"
    DNS_PATH_BROKEN = "DNSPathBroken"
    DNS_NO_READY_ENDPOINTS = "DNSNoReadyEndpoints"
    DNS_DENIED = "DNSDenied"
    DNS_UNEXPECTED_ANSWER = "DNSUnexpectedAnswer"
    SERVICE_NOT_SERVED = "ServiceNotServed"
    FRONTEND_MISSING = "FrontendMissing"
    BACKEND_MISSING = "BackendMissing"
    BACKEND_STALE = "BackendStale"
    BACKEND_MISMATCH = "BackendMismatch"
    ENDPOINT_SLICE_STALE = "EndpointSliceStale"
    SERVICE_FLAGS_MISMATCH = "ServiceFlagsMismatch"
    AFFINITY_MISMATCH = "AffinityMismatch"
    NO_READY_BACKENDS = "NoReadyBackends"
    NOT_TRANSLATED = "NotTranslated"
    REVERSE_NAT_MISSING = "ReverseNATMissing"
    REVERSE_NAT_MISMATCH = "ReverseNATMismatch"

    # ipcache, endpoint map
    IPCACHE_ENTRY_MISSING = "IpcacheEntryMissing"
    WRONG_IDENTITY = "WrongIdentity"
    WRONG_TUNNEL_ENDPOINT = "WrongTunnelEndpoint"
    ENDPOINT_ENTRY_MISSING = "EndpointEntryMissing"
    ENDPOINT_ENTRY_MISMATCH = "EndpointEntryMismatch"
    UNEXPECTED_LOCAL_ENDPOINT = "UnexpectedLocalEndpoint"
    ADDRESS_CONFLICT = "AddressConflict"
    ENDPOINT_ROUTE_MISSING = "EndpointRouteMissing"
    STALE_MAP_IN_USE = "StaleMapInUse"
    MAP_NEARLY_FULL = "MapNearlyFull"

    # policy
    POLICY_DENIED = "PolicyDenied"
    POLICY_MAP_MISMATCH = "PolicyMapMismatch"
    POLICY_NOT_ENFORCED = "PolicyNotEnforced"
    DENIAL_NOT_OBSERVED = "DenialNotObserved"

    # between nodes
    TUNNEL_DEVICE_MISSING = "TunnelDeviceMissing"
    TUNNEL_DEVICE_DOWN = "TunnelDeviceDown"
    TUNNEL_MISCONFIGURED = "TunnelMisconfigured"
    NODE_ROUTE_MISSING = "NodeRouteMissing"
    NEIGHBOR_UNREACHABLE = "NeighborUnreachable"
    NEIGHBOR_MAC_MISMATCH = "NeighborMACMismatch"
    ROUTING_RULE_MISSING = "RoutingRuleMissing"
    NETFILTER_DROPS = "NetfilterDrops"
    XFRM_POLICY_DROPS = "XfrmPolicyDrops"
    QDISC_DROPS = "QdiscDrops"
    MTU_TOO_SMALL = "MTUTooSmall"
    LOST_IN_TRANSIT = "LostInTransit"
    LOST_BETWEEN_NODES = "LostBetweenNodes"
    PACKET_DROPPED = "PacketDropped"
    CONNTRACK_INSERT_FAILED = "ConntrackInsertFailed"
    CONNTRACK_ENTRY_LOST = "ConntrackEntryLost"

    # the application
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_RESET = "ConnectionReset"
    NO_RESPONSE = "NoResponse"
    UNEXPECTED_STATUS = "UnexpectedStatus"
    UNEXPECTED_BODY = "UnexpectedBody"

    # expectations beyond the outcome
    TOO_SLOW = "TooSlow"
    UNEXPECTED_LOCALITY = "UnexpectedLocality"
    UNEXPECTED_ENCAPSULATION = "UnexpectedEncapsulation"
