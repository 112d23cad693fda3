"""One event of the datapath: a packet that was observed, allowed or denied by policy, or dropped, at one point of a
node.

Made by `hubble` and `monitor`, evaluated by `diagnose`. Source: Cilium 1.16–1.20 `pkg/monitor/api/types.go`
(observation points), `pkg/monitor/api/files.go`.
"""

from dataclasses import dataclass
from enum import StrEnum

from ...addresses import IpAddress


class Point(StrEnum):
    """Where a forwarded packet was observed. With aggregation, which is the default, only these points are reported."""

    TO_ENDPOINT = "TO_ENDPOINT"
    TO_OVERLAY = "TO_OVERLAY"
    TO_STACK = "TO_STACK"
    TO_NETWORK = "TO_NETWORK"
    TO_HOST = "TO_HOST"
    TO_PROXY = "TO_PROXY"


@dataclass(frozen=True, slots=True)
class Flow:
    """`at`: seconds since the epoch by the node's clock, 0 if the tool does not report it. Ports are 0 except for TCP,
    UDP and SCTP.

    `drop_code` None: not dropped. `point` None: a drop, a policy verdict, or another point. `direction` is "ingress",
    "egress" or "", as seen from the endpoint; it is unreliable for traces. `policies`: those that allowed or denied it,
    as "Kind namespace/name". `source_identity`: the identity that the packet was assigned, 0 if the tool does not
    report it.
    """

    at: float
    protocol: str  # "TCP", "UDP", "ICMPv4" …
    source: IpAddress | None
    source_port: int
    destination: IpAddress | None
    destination_port: int
    drop_code: int | None = None
    point: Point | None = None
    direction: str = ""
    file: str = ""  # bpf_lxc.c …
    flags: tuple[str, ...] = ()  # of TCP: "SYN", "ACK" …
    policies: tuple[str, ...] = ()
    summary: str = ""
    source_identity: int = 0


@dataclass(frozen=True, slots=True)
class Flows:
    """Events of one answer, in no particular order; `lost`: the number of events that the node reports as lost."""

    flows: tuple[Flow, ...]
    lost: int = 0
