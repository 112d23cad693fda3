"""The map of the ip-masq-agent: destinations to which packets keep the pod's address, with eBPF masquerading.

Source: Cilium 1.16–1.19 `bpf/lib/nat.h` (cilium_ipmasq_v4, cilium_ipmasq_v6), `pkg/maps/ipmasq/ipmasq.go`.
"""

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..byte_order import le32, packed

_VALUE_SIZE = 1  # padding


def exception(node: str, destination: IpAddress) -> Fact:
    """The entry of the range that contains this address."""
    return Fact.of(FactKind.MASQUERADE_EXCEPTION, node, destination=destination)


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    destination = packed(fact.text("destination"))
    name = f"cilium_ipmasq_v{4 if len(destination) == 4 else 6}"
    return MapKey(name, le32(8 * len(destination)) + destination)


def parse(reading: Reading) -> bool | Unavailable:
    """Whether packets to the address keep the pod's address."""
    value = parse_value(reading, _VALUE_SIZE)
    return value if isinstance(value, Unavailable) else not isinstance(value, Absent)
