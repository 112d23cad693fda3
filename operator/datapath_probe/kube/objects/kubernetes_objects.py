"""Objects of the Kubernetes API (JSON) → the records of `plan.objects`.

In: one object as the API server sent it, and a counter of invalid fields. Out: a record; never an exception.
Called by `kube.watch.inventory`. Pure.
"""

from collections.abc import Mapping
from itertools import chain

from ...addresses import IpAddress
from ...plan.exposure import HEADLESS, NODE, NODE_SELECTOR, PROXY_NAME, TYPE
from ...plan.objects import Container, Node, Pod, Service, ServicePort
from .fields import (
    Skips,
    addresses,
    at,
    condition,
    condition_changed_at,
    elements,
    integer,
    networks,
    port_number,
    text,
    texts,
    timestamp,
    unsigned,
)

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_HEADLESS = "None"
_EXPOSURE = (TYPE, NODE, NODE_SELECTOR)
_CORDONED = "node.kubernetes.io/unschedulable"
ZONE = "topology.kubernetes.io/zone"
# The second name replaces the first.
_TOPOLOGY_ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")


def pod(raw: object, skips: Skips) -> Pod:
    """Convert a Pod. Sidecars (init containers with `restartPolicy: Always`) follow its containers."""
    statuses, user = container_statuses(raw), _user(at(raw, "spec"))
    return Pod(
        namespace=text(raw, "metadata", "namespace"),
        name=text(raw, "metadata", "name"),
        uid=text(raw, "metadata", "uid"),
        node=text(raw, "spec", "nodeName"),
        phase=text(raw, "status", "phase"),
        ready=condition(raw, "Ready"),
        terminating=terminating(raw),
        host_network=at(raw, "spec", "hostNetwork") is True,
        ips=_pod_ips(raw, skips),
        containers=tuple(
            _container(spec, statuses, user)
            for spec in chain(elements(raw, "spec", "containers"), _sidecars(raw))
            if text(spec, "name")
        ),
        default_container=text(raw, "metadata", "annotations", DEFAULT_CONTAINER) or None,
        labels=texts(raw, "metadata", "labels"),
        restarts=sum(unsigned(status, "restartCount", bits=31) for status in statuses.values()),
        started_at=max(
            (timestamp(status, "state", "running", "startedAt") for status in statuses.values()), default=0.0
        ),
        created_at=timestamp(raw, "metadata", "creationTimestamp"),
        dns_policy=text(raw, "spec", "dnsPolicy", default="ClusterFirst"),
    )


def terminating(raw: object) -> bool:
    """Whether the object has a deletionTimestamp."""
    return bool(text(raw, "metadata", "deletionTimestamp"))


def container_statuses(raw: object) -> Mapping[str, object]:
    """A pod's container statuses by name, including init containers and sidecars."""
    return {
        text(status, "name"): status
        for field in ("initContainerStatuses", "containerStatuses")
        for status in elements(raw, "status", field)
    }


def _sidecars(raw: object) -> list[object]:
    return [
        spec for spec in elements(raw, "spec", "initContainers") if text(spec, "restartPolicy") == "Always"
    ]


def _user(spec: object) -> int | None:
    """The user that the securityContext of a pod or a container sets; None if its image does."""
    return integer(spec, "securityContext", "runAsUser")


def _container(spec: object, statuses: Mapping[str, object], pod_user: int | None) -> Container:
    name, user = text(spec, "name"), _user(spec)
    return Container(
        name=name,
        running=isinstance(at(statuses.get(name), "state", "running"), dict),
        ports={
            text(port, "name"): number
            for port in elements(spec, "ports")
            if text(port, "name") and (number := port_number(port, "containerPort")) is not None
        },
        other_user=user is not None and user != pod_user,
    )


def _pod_ips(raw: object, skips: Skips) -> tuple[IpAddress, ...]:
    listed = (at(entry, "ip") for entry in elements(raw, "status", "podIPs"))
    return addresses(chain([at(raw, "status", "podIP")], listed), skips, "Pod.status.podIPs")


def node(raw: object, skips: Skips) -> Node:
    """Convert a Node."""
    internal = (
        at(entry, "address")
        for entry in elements(raw, "status", "addresses")
        if text(entry, "type") == "InternalIP"
    )
    cidrs = chain([at(raw, "spec", "podCIDR")], elements(raw, "spec", "podCIDRs"))
    return Node(
        name=text(raw, "metadata", "name"),
        ready=condition(raw, "Ready"),
        unschedulable=at(raw, "spec", "unschedulable") is True,
        internal_ips=addresses(internal, skips, "Node.status.addresses"),
        pod_cidrs=networks(cidrs, skips, "Node.spec.podCIDRs"),
        ready_changed_at=condition_changed_at(raw, "Ready"),
        cordoned_at=max(
            (
                timestamp(taint, "timeAdded")
                for taint in elements(raw, "spec", "taints")
                if text(taint, "key") == _CORDONED
            ),
            default=0.0,
        ),
        zone=text(raw, "metadata", "labels", ZONE),
    )


def service(raw: object, skips: Skips) -> Service:
    """Convert a Service."""
    first = text(raw, "spec", "clusterIP")
    headless = first == _HEADLESS
    labels, annotations = texts(raw, "metadata", "labels"), texts(raw, "metadata", "annotations")
    listed = () if headless else (first, *elements(raw, "spec", "clusterIPs"))
    cluster_ips = addresses(listed, skips, "Service.spec.clusterIP")
    return Service(
        namespace=text(raw, "metadata", "namespace"),
        name=text(raw, "metadata", "name"),
        uid=text(raw, "metadata", "uid"),
        type=text(raw, "spec", "type", default="ClusterIP"),
        cluster_ip=next(iter(cluster_ips), None),
        ports=tuple(
            port
            for entry in elements(raw, "spec", "ports")
            if (port := _service_port(entry, skips)) is not None
        ),
        internal_traffic_policy=text(raw, "spec", "internalTrafficPolicy", default="Cluster"),
        session_affinity=text(raw, "spec", "sessionAffinity", default="None"),
        selects=bool(texts(raw, "spec", "selector")),
        selector=texts(raw, "spec", "selector"),
        prefers_close=_prefers_close(raw),
        headless=headless,
        proxy_name=labels.get(PROXY_NAME),
        marked_headless=HEADLESS in labels,
        exposure={name: value for name, value in annotations.items() if name in _EXPOSURE},
        cluster_ips=cluster_ips,
    )


def _prefers_close(raw: object) -> bool:
    """Source: Cilium 1.18 `pkg/loadbalancer/reflectors/conversions.go` (`isTopologyAware`)."""
    annotations = (text(raw, "metadata", "annotations", name) for name in _TOPOLOGY_ANNOTATIONS)
    mode = next(filter(None, annotations), "disabled")
    return mode.lower() != "disabled" or text(raw, "spec", "trafficDistribution") == "PreferClose"


def _service_port(raw: object, skips: Skips) -> ServicePort | None:
    port = port_number(raw, "port")
    if port is None:
        skips["Service.spec.ports"] += 1
        return None
    return ServicePort(
        name=text(raw, "name"),
        port=port,
        protocol=text(raw, "protocol", default="TCP"),
        target_port=text(raw, "targetPort") or port_number(raw, "targetPort") or port,
        node_port=port_number(raw, "nodePort"),
    )
