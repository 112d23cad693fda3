"""What Cilium does to the source address of packets that leave the cluster: nothing, netfilter or eBPF translates it,
or an egress gateway does.

Called by `checks.outside` and `departure`. Source: Cilium 1.18 `pkg/datapath/iptables/iptables.go`
(`installMasqueradeRules`), `bpf/lib/nat.h` (`snat_v4_needs_masquerade`).
"""

from enum import Enum

from ...addresses import is_within
from ...evidence.reading import Unavailable
from ...sources.maps import egress_gateway, ipmasq
from ...sources.maps.egress_gateway import EgressGateway
from ..context import CheckContext


class Masquerading(Enum):
    """Who gives packets the address of their node; the value is a clause for display."""

    NONE = "packets keep the pod's address"
    EXCEPTED = "packets keep the pod's address, by an exception of the ip-masq-agent"
    BY_IPTABLES = "netfilter masquerades packets"
    BY_BPF = "cil_to_netdev masquerades packets"


def masquerading(context: CheckContext) -> Masquerading | EgressGateway | Unavailable:
    """What happens to the source's packets to this destination outside the cluster."""
    node, destination = context.source.node.name, context.address
    config = context.agent_config(node)
    if isinstance(config, Unavailable):
        return config
    if config.egress_gateway:
        of_gateway = egress_gateway.entry(node, context.source.ip, destination)
        gateway = context.reader.read(of_gateway, egress_gateway.parse)
        if isinstance(gateway, EgressGateway | Unavailable):
            return gateway
    if destination.version not in config.masquerades:
        return Masquerading.NONE
    if any(is_within(destination, cidr) for cidr in config.not_masqueraded):
        return Masquerading.NONE
    if not config.bpf_masquerade:
        return Masquerading.BY_IPTABLES
    if not config.exceptions_to_masquerading:
        return Masquerading.BY_BPF
    excepted = context.reader.read(ipmasq.exception(node, destination), ipmasq.parse)
    if isinstance(excepted, Unavailable):
        return excepted
    return Masquerading.EXCEPTED if excepted else Masquerading.BY_BPF
