"""Policies that deny. Each is enforced when this returns: the endpoint's policy map says so.

In: a scene's API and pods. Used by the catalogue.
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
_ANYBODY = 0


class Direction(IntEnum):
    """Seen from the pod whose policy it is."""

    INGRESS = 0
    EGRESS = 1


def map_entry(lab: Lab, pod: Pod, direction: Direction, identity: int, port: int = 80) -> MapEntry:
    """What a pod's policy map says of a peer and a TCP port: prefix length, identity, direction, protocol, port."""
    key = (
        (64).to_bytes(4, "little")
        + identity.to_bytes(4, "little")
        + bytes((direction, 6))
        + port.to_bytes(2, "big")
    )
    return MapEntry(lab, pod.node, f"cilium_policy_v2_{pod.endpoint:05d}", key)


def allow_all_entry(lab: Lab, pod: Pod, direction: Direction) -> MapEntry:
    """What lets everything pass in a direction without policy."""
    key = (40).to_bytes(4, "little") + bytes(4) + bytes((direction, 0, 0, 0))
    return MapEntry(lab, pod.node, f"cilium_policy_v2_{pod.endpoint:05d}", key)


@contextmanager
def enforced(
    lab: Lab, api: Api, policy: Object, owner: Pod, direction: Direction, peer: int
) -> Iterator[InPlace]:
    """A policy that keeps `peer` (an identity) from (or away from) the owner's pod."""

    def denies() -> bool:
        found = [map_entry(lab, owner, direction, who).find() for who in (peer, _ANYBODY)]
        return found == [None, None] or any(value and value[2] & 1 for value in found)

    with objects.made(api, _path(policy["kind"]), policy, denies) as in_place:
        yield in_place


def _path(kind: str) -> str:
    match kind:
        case "CiliumNetworkPolicy":
            return f"{CILIUM}/namespaces/{NAMESPACE}/ciliumnetworkpolicies"
        case "CiliumClusterwideNetworkPolicy":
            return f"{CILIUM}/ciliumclusterwidenetworkpolicies"
        case _:
            return f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"


def policy(kind: str, spec: Object) -> Object:
    """An object of that kind."""
    version = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": _NAME}, "spec": spec}
