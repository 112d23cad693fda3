"""Plans the packet capture of one path: what is captured, and on which nodes. Called by `path_runner`."""

from ipaddress import IPv4Address

from ..collect.interfaces import ContainerRef
from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Unavailable
from ..plan.plan import Plan
from ..sources.agent.agent_config import from_config_map
from ..sources.capture import pcap
from .limits import CAPTURE_TURN_S

# Limits of a packet capture: its duration beyond the request's timeout, and the number of nodes.
CAPTURE_MARGIN_S = 10.0
CAPTURE_NODES = 4


def capture_nodes(plan: Plan) -> list[str]:
    """The nodes of the source and of the first backends: the selected backend is not known yet."""
    return [node.name for node in plan.nodes[:CAPTURE_NODES]]


def capture_facts(plan: Plan, local_port: int) -> list[Fact]:
    """The captures on these nodes; none for a source without IPv4, which is all that they contain."""
    config = from_config_map(plan.config)
    tunnel_port = config.tunnel_port if config.routing_mode == "tunnel" else None
    lasts_s = plan.request.timeout_s + CAPTURE_MARGIN_S
    clients = sorted(ip for ip in plan.source.addresses if isinstance(ip, IPv4Address))
    nodes = capture_nodes(plan) if clients else ()
    return [pcap.fact(node, clients, local_port, tunnel_port, lasts_s) for node in nodes]


def busy(fact: Fact) -> Unavailable:
    """The reading of a capture that other captures left no time for."""
    message = f"other captures were in progress on {fact.node} for {CAPTURE_TURN_S:g} s: request it again"
    return Unavailable(EvidenceError.NOT_COLLECTED, message)


def impossible(fact: Fact) -> Unavailable:
    """The reading of a capture where nothing is run in containers."""
    message = (
        f"packets on {fact.node} are captured by a command in Cilium's agent, and the operator runs none"
    )
    return Unavailable(EvidenceError.NOT_COLLECTED, message)


def agent_containers(plan: Plan) -> dict[str, ContainerRef]:
    """The agent's container on each node of the plan that has one."""
    return {
        agent.node: ContainerRef(agent.namespace, agent.pod, agent.container, agent.incarnation)
        for agent in plan.agents
    }
