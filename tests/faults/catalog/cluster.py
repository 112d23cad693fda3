"""Faults of nodes, agents and Cilium's objects."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import NAMESPACE
from faults.fault import Expected, Fault, broken, degraded, either
from faults.inject import devices, nodes, objects
from faults.inject.in_place import Injected
from faults.inject.policies import CILIUM
from faults.scene import Scene

HEALTHY = (Expected("Healthy", ""),)


def _unknown(*reasons: str) -> tuple[Expected, ...]:
    """The request succeeds, and the path cannot be verified."""
    return tuple(Expected("Unknown", reason) for reason in reasons)


def _endpoint_missing(scene: Scene, pod: str) -> Injected:
    path = f"{CILIUM}/namespaces/{NAMESPACE}/ciliumendpoints/{pod}"
    return objects.deleted(scene.api, path, back=lambda: scene.api.get(path) is not None)


def _other_cidr(scene: Scene, node: str) -> Injected:
    """The pod CIDR in the CiliumNode does not contain the addresses of its pods."""
    path = f"{CILIUM}/ciliumnodes/{node}"
    found = scene.api.get(path)
    assert found is not None
    before = {"spec": {"ipam": {"podCIDRs": found["spec"]["ipam"]["podCIDRs"]}}}
    after = {"spec": {"ipam": {"podCIDRs": ["10.0.99.0/24"]}}}

    def applied() -> bool:
        now = scene.api.get(path)
        return now is not None and now["spec"]["ipam"]["podCIDRs"] == ["10.0.99.0/24"]

    return objects.changed(scene.api, path, after, before, applied)


NOT_READY = _unknown("InTransition", "AgentNotReady", "ExecFailed", "ChannelLost")
DOWN = _unknown("ExecFailed", "ChannelLost", "InTransition", "AgentNotReady", "AgentNotResponding")
HANGS = _unknown("AgentNotResponding", "InTransition", "AgentNotReady")

FAULTS = (
    Fault("node-cordoned", lambda s: nodes.cordoned(s.api, s.destination), HEALTHY),
    Fault("source-node-cordoned", lambda s: nodes.cordoned(s.api, s.source), HEALTHY),
    Fault(
        "agent-not-ready",
        lambda s: nodes.agent_unready(s.lab, s.api, s.destination),
        NOT_READY,
    ),
    Fault(
        "agent-down-while-the-datapath-works",
        lambda s: nodes.agent_killed(s.lab, s.api, s.destination),
        DOWN,
    ),
    Fault(
        "agent-hangs",
        lambda s: nodes.agent_hangs(s.lab, s.destination),
        HANGS,
    ),
    Fault("source-agent-hangs", lambda s: nodes.agent_hangs(s.lab, s.source), HANGS),
    Fault(
        "node-unreachable",
        lambda s: devices.down(s.lab, s.destination, "eth0"),
        broken(HopName.NODE_ROUTING, "NeighborUnreachable"),
    ),
    Fault(
        "cilium-endpoint-missing",
        lambda s: _endpoint_missing(s, s.far.name),
        degraded(HopName.IPAM, "CiliumEndpointMissing"),
    ),
    Fault(
        "source-cilium-endpoint-missing",
        lambda s: _endpoint_missing(s, s.ship.name),
        degraded(HopName.IPAM, "CiliumEndpointMissing"),
    ),
    Fault(
        "source-outside-the-cidr-of-its-node",
        lambda s: _other_cidr(s, s.source),
        either(HopName.IPAM, "AddressOutsidePodCIDR"),
    ),
    Fault(
        "pod-outside-the-cidr-of-its-node",
        lambda s: _other_cidr(s, s.destination),
        # with native routing, the routes change too
        either(HopName.IPAM, "AddressOutsidePodCIDR"),
    ),
)
