"""What the inventory knows of a pod or a node, gathered into one record. Called by the modules that make plans."""

from dataclasses import replace

from .objects import Inventory, Pod
from .plan import HostFacts, NodeFacts, PodFacts


def node_facts(inventory: Inventory, name: str) -> NodeFacts:
    """Everything known of a node."""
    return NodeFacts(name, inventory.node(name), inventory.cilium_node(name), inventory.agent(name))


def pod_facts(inventory: Inventory, pod: Pod, ip: str | None = None) -> PodFacts:
    """Everything known of a pod. `ip`: the one of its addresses that counts here, to come first."""
    if ip in pod.ips:
        pod = replace(pod, ips=tuple(dict.fromkeys((ip, *pod.ips))))
    return PodFacts(pod, inventory.cilium_endpoint(pod.namespace, pod.name), node_facts(inventory, pod.node))


def pod_or_host(facts: PodFacts) -> PodFacts | HostFacts:
    """What has the pod's address: the pod, or the node in whose network it is."""
    return HostFacts(facts.node, facts) if facts.pod.host_network else facts


def state_text(pod: Pod) -> str:
    """Why a pod takes part in nothing yet, as the end of a sentence about it."""
    return "has no IP address yet" if pod.phase == "Running" else f"is {pod.phase or 'Pending'}"
