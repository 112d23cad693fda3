"""What the inventory knows about a pod or a node, as one record. Called by the modules of `plan` that make plans."""

from dataclasses import replace

from ..addresses import IpAddress
from .objects import Inventory, Pod
from .plan import HostFacts, NodeFacts, PodFacts


class Facts:
    """The records of one plan. A Service may have thousands of pods, but they share nodes: each is looked up once."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._nodes: dict[str, NodeFacts] = {}

    def node(self, name: str) -> NodeFacts:
        """The record of a node."""
        known = self._nodes.get(name)
        if known is None:
            of = self.inventory
            known = self._nodes[name] = NodeFacts(name, of.node(name), of.cilium_node(name), of.agent(name))
        return known

    def pod(self, pod: Pod, ip: IpAddress | None = None) -> PodFacts:
        """The record of a pod. `ip`: the address to list first, because it is the requested one."""
        # the status of a pod may lag behind its endpoints
        if ip and pod.ips[:1] != (ip,) and (ip in pod.ips or not pod.ips):
            pod = replace(pod, ips=tuple(dict.fromkeys((ip, *pod.ips))))
        endpoint = self.inventory.cilium_endpoint(pod.namespace, pod.name)
        return PodFacts(pod, endpoint, self.node(pod.node))


def pod_or_host(facts: PodFacts) -> PodFacts | HostFacts:
    """The owner of the pod's address: the pod, or its node if the pod is in the host network."""
    return HostFacts(facts.node, facts) if facts.pod.host_network else facts


def state_text(pod: Pod) -> str:
    """Why a pod can't take part in a run, as the predicate of a sentence."""
    return "has no IP address yet" if pod.phase == "Running" else f"is {pod.phase or 'Pending'}"
