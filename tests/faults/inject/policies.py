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


class Direction(IntEnum):
    """The direction from the view of the selected pod."""

    INGRESS = 0
    EGRESS = 1


def map_entry(lab: Lab, pod: Pod, direction: Direction, identity: int, port: int = 80) -> MapEntry:
    """A pod's policy map entry of a peer and a TCP port: prefix length, identity, direction, protocol, port."""
    key = (
        (64).to_bytes(4, "little")
        + identity.to_bytes(4, "little")
        + bytes((direction, 6))
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
