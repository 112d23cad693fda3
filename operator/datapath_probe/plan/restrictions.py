"""What an administrator forbids all probes to request. Called by `resolve`.

In: a plan. Out: `CannotRun` if it is forbidden, before anything is sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..addresses import IpAddress
from ..api.reasons import Reason
from ..api.spec.request import Method
from .objects import Inventory
from .outside import BY_DEFAULT, AddressRestrictions, known_addresses
from .plan import AddressTarget, CannotRun, Plan, ServiceTarget

_SAFE_METHODS = (Method.GET, Method.HEAD)


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What is forbidden. By default, only some addresses are.

    `host_network`: destinations whose address is not that of a pod with its own network. `unsafe_methods`: all but GET
    and HEAD. `other_users`: source containers that run as another user than their pod. `names`: destinations outside
    the cluster by name. `body_bytes`: longer bodies; None for none. `addresses`: which destinations that are not pods
    with their own network.
    """

    host_network: bool = False
    names: bool = False
    unsafe_methods: bool = False
    other_users: bool = False
    body_bytes: int | None = None
    addresses: AddressRestrictions = BY_DEFAULT


UNRESTRICTED = Restrictions()


def forbidden(plan: Plan, restrictions: Restrictions, inventory: Inventory) -> CannotRun | None:
    """Why this plan may not be run; None if it may."""
    found = (
        (restrictions.unsafe_methods and _unsafe_method(plan))
        or _long_body(plan, restrictions.body_bytes)
        or (restrictions.other_users and _other_user(plan))
        or (restrictions.host_network and _host_network(plan, inventory))
        or (restrictions.names and _name(plan))
        or _address(plan, restrictions.addresses, inventory)
    )
    if not found:
        return None
    pod = plan.source.pod
    return CannotRun(*found, source=f"{pod.namespace}/{pod.name}", destination=plan.target.display)


def _unsafe_method(plan: Plan) -> tuple[Reason, str] | None:
    method = plan.request.method
    if method in _SAFE_METHODS:
        return None
    return Reason.METHOD_FORBIDDEN, f"the operator does not send {method} requests (--forbid-unsafe-methods)"


def _long_body(plan: Plan, limit: int | None) -> tuple[Reason, str] | None:
    length = len(plan.request.body.encode())
    if limit is None or length <= limit:
        return None
    message = f"the body has {length} bytes, and the operator sends at most {limit} (--max-body-bytes)"
    return Reason.BODY_TOO_LONG, message


def _other_user(plan: Plan) -> tuple[Reason, str] | None:
    containers = plan.source.pod.containers
    if not any(container.other_user for container in containers if container.name == plan.container):
        return None
    message = f"container {plan.container} runs as another user than its pod (--forbid-other-users)"
    return Reason.CONTAINER_USER_FORBIDDEN, message


def _host_network(plan: Plan, inventory: Inventory) -> tuple[Reason, str] | None:
    """Judged by the addresses of pods alone: an EndpointSlice can name any address, and any pod as its owner."""
    if isinstance(plan.target, AddressTarget):
        return (
            Reason.HOST_NETWORK_FORBIDDEN,
            f"{plan.target.host} is outside the cluster (--forbid-host-network)",
        )
    ip = next(_outside_pods(plan, inventory), None)
    if ip is None:
        return None
    message = f"{ip} is not the address of a pod with its own network (--forbid-host-network)"
    return Reason.HOST_NETWORK_FORBIDDEN, message


def _name(plan: Plan) -> tuple[Reason, str] | None:
    if not (isinstance(plan.target, AddressTarget) and plan.by_name):
        return None
    message = (
        f"{plan.target.host} is a name outside the cluster, which may resolve to any address (--forbid-names)"
    )
    return Reason.NAME_FORBIDDEN, message


def _address(
    plan: Plan, restrictions: AddressRestrictions, inventory: Inventory
) -> tuple[Reason, str] | None:
    """A name is resolved in the source pod: `runs.request` looks at the addresses that it led to."""
    target = plan.target
    if isinstance(target, AddressTarget):
        known = known_addresses(target.host, inventory) if plan.by_name else (target.backends[0].ip,)
        by_name = f"{target.host} resolves to a forbidden address: " if plan.by_name else ""
        why = next(filter(None, (restrictions.why_forbidden(ip, inventory) for ip in known)), "")
    else:
        by_name = f"an endpoint of {target.display} is forbidden: "
        ips = _outside_pods(plan, inventory)
        why = next(filter(None, map(restrictions.why_no_endpoint, ips)), "")
    return (Reason.ADDRESS_FORBIDDEN, f"{by_name}{why}") if why else None


def _outside_pods(plan: Plan, inventory: Inventory) -> Iterator[IpAddress]:
    """The addresses of the endpoints that are not those of a running pod with its own network."""
    unready = plan.target.unready if isinstance(plan.target, ServiceTarget) else ()
    for backend in (*plan.target.backends, *unready):
        owner = backend.pod_facts
        known = owner and owner.pod.owns_address and backend.ip in owner.pod.ips
        if not known and inventory.pod_with(backend.ip) is None:
            yield backend.ip
