"""Cilium's API objects (JSON) → the records of `plan.objects`.

In: a CiliumEndpoint, a CiliumNode or a pod of the agent, and a counter of invalid fields. Out: a record; never an
exception. Called by `kube.watch.inventory`. Pure.
Source: Cilium 1.18 `pkg/k8s/apis/cilium.io/v2/types.go`, `pkg/ipam/types/types.go`.
"""

from itertools import chain

from ...addresses import IpAddress
from ...plan.objects import Agent, CiliumEndpoint, CiliumNode
from .fields import (
    Skips,
    addresses,
    at,
    condition_changed_at,
    elements,
    last_written,
    networks,
    text,
    timestamp,
    unsigned,
)
from .kubernetes_objects import container_statuses, terminating

AGENT_LABEL = ("k8s-app", "cilium")
AGENT_CONTAINER = "cilium-agent"


def cilium_endpoint(raw: object, skips: Skips) -> CiliumEndpoint:
    """Convert a CiliumEndpoint. Until the agent writes its status, id and identity are 0 and the rest is empty."""
    networking = at(raw, "status", "networking")
    ips = (at(pair, family) for pair in elements(networking, "addressing") for family in ("ipv4", "ipv6"))
    node_ip = addresses([at(networking, "node")], skips, "CiliumEndpoint.status.networking.node")
    return CiliumEndpoint(
        namespace=text(raw, "metadata", "namespace"),
        name=text(raw, "metadata", "name"),
        endpoint_id=unsigned(raw, "status", "id", bits=16),
        identity=unsigned(raw, "status", "identity", "id", bits=32),
        ips=addresses(ips, skips, "CiliumEndpoint.status.networking.addressing"),
        node_ip=next(iter(node_ip), None),
        state=text(raw, "status", "state"),
        written_at=last_written(raw),
    )


def cilium_node(raw: object, skips: Skips) -> CiliumNode:
    """Convert a CiliumNode."""
    pools = elements(raw, "spec", "ipam", "pools", "allocated")
    cidrs = chain(elements(raw, "spec", "ipam", "podCIDRs"), *(elements(pool, "cidrs") for pool in pools))
    return CiliumNode(
        name=text(raw, "metadata", "name"),
        internal_ips=_node_addresses(raw, "InternalIP", skips),
        cilium_internal_ips=_node_addresses(raw, "CiliumInternalIP", skips),
        pod_cidrs=networks(cidrs, skips, "CiliumNode.spec.ipam"),
    )


def _node_addresses(raw: object, type_: str, skips: Skips) -> tuple[IpAddress, ...]:
    found = (at(entry, "ip") for entry in elements(raw, "spec", "addresses") if text(entry, "type") == type_)
    return addresses(found, skips, "CiliumNode.spec.addresses")


def agent(raw: object) -> Agent | None:
    """The cilium-agent in a Pod; None for any other pod, and for one that is not scheduled yet."""
    label, value = AGENT_LABEL
    node = text(raw, "spec", "nodeName")
    containers = (text(spec, "name") for spec in elements(raw, "spec", "containers"))
    if text(raw, "metadata", "labels", label) != value or not node or AGENT_CONTAINER not in containers:
        return None
    status = container_statuses(raw).get(AGENT_CONTAINER)
    return Agent(
        node=node,
        namespace=text(raw, "metadata", "namespace"),
        pod=text(raw, "metadata", "name"),
        container=AGENT_CONTAINER,
        ready=at(status, "ready") is True and not terminating(raw),
        incarnation=f"{text(raw, 'metadata', 'uid')}/{unsigned(status, 'restartCount', bits=32)}",
        started_at=timestamp(status, "state", "running", "startedAt"),
        ready_changed_at=condition_changed_at(raw, "Ready"),
    )
