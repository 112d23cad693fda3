"""Policies that deny. Each is enforced on entry, as the endpoint's policy map shows.

In: a scene's API and pods. Used by the catalog.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from e2e.api import Api, Object
from e2e.galaxy import NAMESPACE, Pod
from faults.inject import objects
from faults.inject.in_place import InPlace
from faults.inject.maps import MapEntry
from lab.cluster import Lab

CILIUM = "/apis/cilium.io/v2"
_NAME = "faults"
_ANY_IDENTITY = 0
_TCP, _UDP = 6, 17
_DNS_PORT = 53
_NAME_SERVERS = {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}


class Direction(IntEnum):
    """The direction from the view of the selected pod."""

    INGRESS = 0
    EGRESS = 1


def map_entry(
    lab: Lab, pod: Pod, direction: Direction, identity: int, port: int = 80, protocol: int = _TCP
) -> MapEntry:
    """A pod's policy map entry of a peer and a port: prefix length, identity, direction, protocol, port."""
    key = (
        (64).to_bytes(4, "little")
        + identity.to_bytes(4, "little")
        + bytes((direction, protocol))
        + port.to_bytes(2, "big")
    )
    return MapEntry(lab, pod.node, f"cilium_policy_v2_{pod.endpoint:05d}", key)


def allow_all_entry(lab: Lab, pod: Pod, direction: Direction) -> MapEntry:
    """The entry that allows everything in a direction without policy."""
    key = (40).to_bytes(4, "little") + bytes(4) + bytes((direction, 0, 0, 0))
    return MapEntry(lab, pod.node, f"cilium_policy_v2_{pod.endpoint:05d}", key)


@contextmanager
def enforced(
    lab: Lab, api: Api, policy: Object, owner: Pod, direction: Direction, peer: int
) -> Iterator[InPlace]:
    """A policy of the owner's pod that denies traffic with `peer` (an identity)."""

    def denies() -> bool:
        found = [map_entry(lab, owner, direction, identity).find() for identity in (peer, _ANY_IDENTITY)]
        return found == [None, None] or any(value and value[2] & 1 for value in found)

    with objects.created(api, _path(policy["kind"]), policy, denies) as in_place:
        yield in_place


@contextmanager
def dns_through_proxy(lab: Lab, api: Api, pod: Pod, labels: Object) -> Iterator[MapEntry]:
    """A policy that sends the DNS queries of pods with these labels through the DNS proxy, and allows the rest. Yields
    the entry of the pod's policy map that redirects them.
    """
    rules = {
        "ports": [{"port": str(_DNS_PORT), "protocol": "ANY"}],
        "rules": {"dns": [{"matchPattern": "*"}]},
    }
    egress = [
        {"toEndpoints": [{"matchLabels": _NAME_SERVERS}], "toPorts": [rules]},
        {"toEndpoints": [{"matchLabels": {"class": "deathstar"}}]},
    ]
    spec = {"endpointSelector": {"matchLabels": labels}, "egress": egress}
    body = policy("CiliumNetworkPolicy", spec)
    endpoints = api.items(f"{CILIUM}/namespaces/kube-system/ciliumendpoints")
    server = next(one for one in endpoints if one["metadata"]["name"].startswith("coredns"))
    identity: int = server["status"]["identity"]["id"]
    entry = map_entry(lab, pod, Direction.EGRESS, identity, _DNS_PORT, _UDP)

    def redirects() -> bool:
        value = entry.find()
        return value is not None and value[:2] != bytes(2)  # the port of the proxy

    with objects.created(api, _path(body["kind"]), body, redirects):
        yield entry


def _path(kind: str) -> str:
    match kind:
        case "CiliumNetworkPolicy":
            return f"{CILIUM}/namespaces/{NAMESPACE}/ciliumnetworkpolicies"
        case "CiliumClusterwideNetworkPolicy":
            return f"{CILIUM}/ciliumclusterwidenetworkpolicies"
        case _:
            return f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"


def policy(kind: str, spec: Object) -> Object:
    """A policy object of this kind."""
    version = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": _NAME}, "spec": spec}
