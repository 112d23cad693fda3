"""What the inventory knows about a pod or a node, as one record. Called by the modules of `plan` that make plans."""

from dataclasses import replace

from ..addresses import IpAddress
from .objects import Inventory, Pod
from .plan import HostFacts, NodeFacts, PodFacts


def node_facts(inventory: Inventory, name: str) -> NodeFacts:
    """The record of a node."""
    return NodeFacts(name, inventory.node(name), inventory.cilium_node(name), inventory.agent(name))


def pod_facts(inventory: Inventory, pod: Pod, ip: IpAddress | None = None) -> PodFacts:
    """The record of a pod. `ip`: the address to list first, because it is the requested one."""
    if ip and (ip in pod.ips or not pod.ips):  # the status of a pod may lag behind its endpoints
        pod = replace(pod, ips=tuple(dict.fromkeys((ip, *pod.ips))))
    return PodFacts(pod, inventory.cilium_endpoint(pod.namespace, pod.name), node_facts(inventory, pod.node))


def pod_or_host(facts: PodFacts) -> PodFacts | HostFacts:
    """The owner of the pod's address: the pod, or its node if the pod is in the host network."""
    return HostFacts(facts.node, facts) if facts.pod.host_network else facts


def state_text(pod: Pod) -> str:
    """Why a pod can't take part in a run, as the predicate of a sentence."""
    return "has no IP address yet" if pod.phase == "Running" else f"is {pod.phase or 'Pending'}"
