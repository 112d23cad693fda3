"""Which settings of Cilium are supported, and which lead packets on paths that no check follows.

In: a configuration of the cluster or of one node. Out: a description of what is not supported. Called by `resolve` if
nothing can be requested, and by `diagnose` for the cluster and each node.
"""

from collections.abc import Iterator

from ..api.vocabulary import Encapsulation
from ..sources.agent.agent_config import AgentConfig

_TUNNELS = (Encapsulation.VXLAN, Encapsulation.GENEVE)


def unsupported(config: AgentConfig) -> str | None:
    """All unsupported settings, such as `tunnel-protocol 'x', encryption by ipsec`; None if there is none."""
    return ", ".join(_settings(config)) or None


def _settings(config: AgentConfig) -> Iterator[str]:
    if config.routing_mode not in ("tunnel", "native"):
        yield f"routing-mode {config.routing_mode!r}"
    if config.routing_mode == "tunnel" and config.tunnel_protocol not in _TUNNELS:
        yield f"tunnel-protocol {config.tunnel_protocol!r}"
    if config.routing_mode == "tunnel" and config.underlay != "ipv4":
        yield f"underlay-protocol {config.underlay!r}"
    if config.encryption:
        yield f"encryption by {config.encryption}"
    if config.datapath_mode != "veth":
        yield f"datapath-mode {config.datapath_mode}"
    if config.cni_chaining:
        yield f"cni-chaining-mode {config.cni_chaining}"
    if config.cluster_id:
        yield f"a cluster mesh (cluster-id {config.cluster_id})"
