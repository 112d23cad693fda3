"""A pod of the DaemonSet of node agents (JSON) → where its agent listens. Called by `kube.watch.resources`. Pure."""

from ...nodes import limits
from ...nodes.address import NodeAgentAddress
from .fields import Skips, addresses, at, condition, elements, port_number, text, unsigned
from .kubernetes_objects import container_statuses, terminating

LABEL, NAME = "app.kubernetes.io/name", "datapath-probe-node"
_CONTAINER, _PORT = "node-agent", "grpc"


def node_agent(raw: object, skips: Skips) -> NodeAgentAddress | None:
    """The node agent in a Pod; None for any other pod, and for one without an address yet."""
    node = text(raw, "spec", "nodeName")
    if text(raw, "metadata", "labels", LABEL) != NAME or not node:
        return None
    ips = addresses([at(raw, "status", "hostIP")], skips, "Pod.status.hostIP")
    ports = (
        port_number(port, "containerPort")
        for container in elements(raw, "spec", "containers")
        for port in elements(container, "ports")
        if text(port, "name") == _PORT
    )
    if not ips:
        return None
    status = container_statuses(raw).get(_CONTAINER)
    return NodeAgentAddress(
        node=node,
        ip=ips[0],
        port=next(ports, None) or limits.PORT,
        ready=condition(raw, "Ready") and not terminating(raw),
        incarnation=f"{text(raw, 'metadata', 'uid')}/{unsigned(status, 'restartCount', bits=32)}",
    )
