"""What Cilium does to the source address of packets that leave the cluster: nothing, netfilter or eBPF translates it.

In: a context and a destination. Out: who translates, according to the configuration. Called by `checks.outside`.
Source: Cilium 1.18 `pkg/datapath/iptables/iptables.go` (`installMasqueradeRules`), `bpf/lib/nat.h`
(`snat_v4_needs_masquerade`).
"""

from enum import Enum

from ...addresses import IpAddress, is_within
from ...sources.agent.agent_config import AgentConfig


class Masquerading(Enum):
    """Who gives packets the address of their node; the value is a clause for display."""

    NONE = "packets keep the pod's address"
    BY_IPTABLES = "netfilter masquerades packets"
    BY_BPF = "cil_to_netdev masquerades packets"
    UNKNOWN = "ip-masq-agent decides whether packets are masqueraded"


def masquerading(config: AgentConfig, destination: IpAddress) -> Masquerading:
    """What happens to packets of pods to this destination outside the cluster."""
    if destination.version not in config.masquerades:
        return Masquerading.NONE
    if any(is_within(destination, cidr) for cidr in config.not_masqueraded):
        return Masquerading.NONE
    if not config.bpf_masquerade:
        return Masquerading.BY_IPTABLES
    return Masquerading.UNKNOWN if config.exceptions_to_masquerading else Masquerading.BY_BPF
