"""IPsec policies of nodes and pods, as IPsec that was switched off may leave them behind. Used by the catalog."""

from contextlib import AbstractContextManager

from e2e.galaxy import Pod
from faults.inject import devices
from faults.inject.commands import applied
from lab.cluster import Lab


def policy(
    lab: Lab, node: str, *selector: str, then: tuple[str, ...] = ("action", "block"), inside: str = ""
) -> AbstractContextManager[None]:
    """A policy for packets that match the selector, which ends with its direction. `inside`: a network namespace."""
    change = ("ip", *(("-n", inside) if inside else ()), "xfrm", "policy")
    return applied(lab, node, (*change, "add", *selector, *then), (*change, "delete", *selector))


def policy_in_pod(lab: Lab, pod: Pod, *selector: str) -> AbstractContextManager[None]:
    """The same in a pod's network namespace."""
    return policy(lab, pod.node, *selector, inside=devices.netns(lab, pod))


def default(lab: Lab, node: str, direction: str) -> AbstractContextManager[None]:
    """Packets without a policy are dropped in this direction."""
    change = ("ip", "xfrm", "policy", "setdefault", direction)
    return applied(lab, node, (*change, "block"), (*change, "accept"))
