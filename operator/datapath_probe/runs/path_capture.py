"""Plans the packet capture of one path: what is captured, and on which nodes. Called by `path_runner`."""

from ipaddress import IPv4Address

from ..collect.interfaces import ContainerRef
from ..evidence.fact import Fact
from ..plan.plan import Plan
from ..sources.agent.agent_config import from_config_map
from ..sources.capture import pcap

# Limits of a packet capture: its duration beyond the request's timeout, and the number of nodes.
CAPTURE_MARGIN_S = 10.0
CAPTURE_NODES = 4


def capture_facts(plan: Plan, local_port: int) -> list[Fact]:
    """Captures on the nodes of the source and of the first backends: the selected backend is not known yet."""
    config = from_config_map(plan.config)
    tunnel_port = config.tunnel_port if config.routing_mode == "tunnel" else None
    lasts_s = plan.request.timeout_s + CAPTURE_MARGIN_S
    clients = sorted(ip for ip in plan.source.addresses if isinstance(ip, IPv4Address))
    return [
        pcap.fact(node.name, clients, local_port, tunnel_port, lasts_s) for node in plan.nodes[:CAPTURE_NODES]
    ]


def agent_containers(plan: Plan) -> dict[str, ContainerRef]:
    """The agent's container on each node of the plan that has one."""
    return {
        agent.node: ContainerRef(agent.namespace, agent.pod, agent.container, agent.incarnation)
        for agent in plan.agents
    }
