"""Settings and versions that the agents of a path actually run with, which may differ from the ConfigMap.

In: a context. Out: why the run can't be judged, or None. Called by `examination`.
"""

from collections.abc import Iterator

from ...api.reasons import Reason
from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from ...plan.support import unsupported
from ...sources.agent.agent_config import AgentConfig
from ..context import CheckContext

# Settings that determine the path of packets, and the ConfigMap key or name of each.
_DECISIVE = {
    "routing_mode": "routing-mode",
    "tunnel_protocol": "tunnel-protocol",
    "tunnel_port": "tunnel-port",
    "socket_lb": "socket load-balancing",
    "kube_proxy_replacement": "kube-proxy-replacement",
    "endpoint_routes": "enable-endpoint-routes",
    "bpf_host_routing": "BPF host routing",
    "host_firewall": "host firewall",
    "auto_direct_node_routes": "auto-direct-node-routes",
    "ipv6": "enable-ipv6",
    "service_loopback": "ipv4-service-loopback-address",
    "conntrack_in_jiffies": "enable-bpf-clock-probe",
}


def want_agents(context: CheckContext) -> None:
    """Have the configuration and version of the agents collected: the verdict depends on them."""
    nodes = _nodes(context)
    for node in sorted(nodes):
        context.agent_config(node)
    for node in nodes:
        context.layout(node)


def unsupported_on_path(context: CheckContext) -> Unavailable | None:
    """The first unsupported setting or version on this path; other findings then prove nothing."""
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


def config_drift(context: CheckContext) -> str | None:
    """The first agent setting that differs from the ConfigMap, as one sentence."""
    for node, config in _configurations(context):
        for member, key in _DECISIVE.items():
            has, wanted = getattr(config, member), getattr(context.config, member)
            if has != wanted:
                drift = f"the agent on {node} runs with {key} {_text(has)}, the ConfigMap has {_text(wanted)}"
                return f"{drift}: the agent has not restarted since, or a CiliumNodeConfig overrides it"
    return None


def _configurations(context: CheckContext) -> Iterator[tuple[str, AgentConfig]]:
    """The configurations of the path's agents, as far as they are known."""
    for node in _nodes(context):
        config = context.agent_config(node)
        if isinstance(config, AgentConfig):
            yield node, config


def _nodes(context: CheckContext) -> list[str]:
    """Source and destination node, as far as they are known."""
    return list(dict.fromkeys(filter(None, (context.path.source_node, context.path.destination_node))))


def _text(value: object) -> str:
    return str(value).lower()
