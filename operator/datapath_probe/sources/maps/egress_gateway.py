"""The map of egress gateways: by which node, and with which address, packets of a pod leave the cluster.

An entry exists for each pod that a CiliumEgressGatewayPolicy selects, and each of the policy's destination CIDRs. The
gateway is an IPv4 address, also of packets over IPv6. Only the gateway itself knows the address that they get.
Source: Cilium 1.16–1.19 `bpf/lib/egress_gateway.h`, `pkg/maps/egressmap/policy.go`, `pkg/egressgateway/manager.go`.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..byte_order import le32, packed

_ADDRESS_SIZES = {8: 4, 40: 16}  # of a value: that of the egress address, which precedes the gateway
_EXCLUDED = IPv4Address(1)  # a CIDR that the policy excludes


@dataclass(frozen=True, slots=True)
class EgressGateway:
    """`node`: an address of the gateway; None if no node is one, and packets are dropped. `source`: the address that
    packets get there; None on other nodes.
    """

    node: IPv4Address | None
    source: IpAddress | None


def entry(node: str, source: IpAddress, destination: IpAddress) -> Fact:
    """The entry for packets of this pod to this address."""
    return Fact.of(FactKind.EGRESS_GATEWAY_ENTRY, node, source=source, destination=destination)


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    source, destination = packed(fact.text("source")), packed(fact.text("destination"))
    name = f"cilium_egress_gw_policy_v{4 if len(source) == 4 else 6}"
    return MapKey(name, le32(8 * len(source + destination)) + source + destination)


def parse(reading: Reading) -> EgressGateway | Absent | Unavailable:
    """The gateway; absent if no policy applies, or if it excludes the address."""
    value = parse_value(reading, *_ADDRESS_SIZES)
    if not isinstance(value, bytes):
        return value
    size = _ADDRESS_SIZES[len(value)]
    node, source = IPv4Address(value[size : size + 4]), ip_address(value[:size])
    if node == _EXCLUDED:
        return Absent()
    return EgressGateway(None if node.is_unspecified else node, None if source.is_unspecified else source)
