"""One event of the datapath: a packet that was seen, judged by policy, or dropped, at one place on one node.

What `hubble` and `monitor` read; `diagnose` draws its conclusions. Source: Cilium 1.16–1.20
`pkg/monitor/api/types.go` (observation points), `pkg/monitor/api/files.go`.
"""

from dataclasses import dataclass
from enum import StrEnum

from ...addresses import IpAddress


class Point(StrEnum):
    """Where a packet was seen that was let through. With aggregation, as is the default, only these."""

    TO_ENDPOINT = "TO_ENDPOINT"
    TO_OVERLAY = "TO_OVERLAY"
    TO_STACK = "TO_STACK"
    TO_NETWORK = "TO_NETWORK"
    TO_HOST = "TO_HOST"
    TO_PROXY = "TO_PROXY"


@dataclass(frozen=True, slots=True)
class Flow:
    """`at`: seconds since the epoch by the node's clock, 0 where the tool does not tell. Ports are 0 but for TCP, UDP
    and SCTP.

    `drop_code` None: not dropped. `point` None: a drop, a policy verdict, or a point of no interest. `direction` is
    "ingress", "egress" or "", as seen from the endpoint; for traces it is not to be relied on. `policies`: who allowed
    or denied it, as "Kind namespace/name".
    `source_identity`: whom the packet was taken to come from, 0 where the tool does not tell.
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
    """Events of one answer, in no order; `lost`: how many events the node knows that it lost on their way."""

    flows: tuple[Flow, ...]
    lost: int = 0
