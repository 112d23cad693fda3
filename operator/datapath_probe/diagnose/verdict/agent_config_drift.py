"""How the nodes of a path really run, which the ConfigMap need not say: other settings, other versions.

In: a context. Out: what keeps the run from being judged, or None. Called by `examination`.
"""

from collections.abc import Iterator

from ...api.reasons import Reason
from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from ...plan.support import unsupported
from ...sources.agent.agent_config import AgentConfig
from ..context import CheckContext

# What decides on the path of packets, and what a key of the ConfigMap is called that sets it.
_DECISIVE = {
    "routing_mode": "routing-mode",
    "tunnel_protocol": "tunnel-protocol",
    "tunnel_port": "tunnel-port",
    "socket_lb": "socket load-balancing",
    "kube_proxy_replacement": "kube-proxy-replacement",
    "endpoint_routes": "enable-endpoint-routes",
    "bpf_host_routing": "BPF host routing",
    "auto_direct_node_routes": "auto-direct-node-routes",
    "ipv6": "enable-ipv6",
    "service_loopback": "ipv4-service-loopback-address",
    "conntrack_in_jiffies": "enable-bpf-clock-probe",
}


def want_agents(context: CheckContext) -> None:
    """Have the agents of the path asked how they run, and of which version they are: the verdict depends on it."""
    nodes = _nodes(context)
    for node in sorted(nodes):
        context.agent_config(node)
    for node in nodes:
        context.layout(node)


def unjudgeable(context: CheckContext) -> Unavailable | None:
    """The first thing on this path that no check knows; whatever else was found then proves nothing."""
    configurations = [
        ("", context.config),
        *((f" on {node}", config) for node, config in _configurations(context)),
    ]
    for place, config in configurations:
        setting = unsupported(config)
        if setting:
            message = f"Cilium{place} runs with {setting}, which this version of the operator can't judge"
            return Unavailable(Reason.UNSUPPORTED_CONFIGURATION, message)
    for node in _nodes(context):
        layout = context.layout(node)
        if isinstance(layout, Unavailable) and layout.reason == EvidenceError.UNSUPPORTED_VERSION:
            return Unavailable(Reason.UNSUPPORTED_VERSION, f"{node}: {layout.message}")
    return None


def disagreement(context: CheckContext) -> str | None:
    """Which node's agent runs with other settings than the ConfigMap has, as one sentence."""
    for node, config in _configurations(context):
        for member, key in _DECISIVE.items():
            has, wanted = getattr(config, member), getattr(context.config, member)
            if has != wanted:
                said = f"the agent on {node} runs with {key} {_text(has)}, the ConfigMap says {_text(wanted)}"
                return f"{said}: it has not restarted since, or a CiliumNodeConfig overrides it"
    return None


def _configurations(context: CheckContext) -> Iterator[tuple[str, AgentConfig]]:
    """What the agents of the path run with, where that could be had."""
    for node in _nodes(context):
        config = context.agent_config(node)
        if isinstance(config, AgentConfig):
            yield node, config


def _nodes(context: CheckContext) -> list[str]:
    """Source and destination node, as far as they are known."""
    return list(dict.fromkeys(filter(None, (context.path.source_node, context.path.destination_node))))


def _text(value: object) -> str:
    return str(value).lower()
