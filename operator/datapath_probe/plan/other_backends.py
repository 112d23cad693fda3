"""The ready backends of the Services that a path needs: of the requested Service, and of the cluster's DNS.

A request uses one of each; the next request may use another. Called by `runs.backend_rotation`, which decides which of
them a run looks at, and by `diagnose`.
"""

from dataclasses import dataclass

from ..addresses import IpAddress
from .plan import Backend, Plan, PodTarget


@dataclass(frozen=True, slots=True)
class OtherBackend:
    """A backend to look at, unless the request uses it anyway. `of_dns`: a name server."""

    ip: IpAddress
    port: int
    of_dns: bool

    def in_plan(self, plan: Plan) -> Backend | None:
        """The backend in a plan; None if it is not a ready endpoint there."""
        backends = _name_servers(plan) if self.of_dns else plan.backends
        return next((b for b in backends if (b.ip, b.port) == (self.ip, self.port)), None)


@dataclass(frozen=True, slots=True)
class Looks:
    """What a run found of backends, the request's own among them. `suspect`: the next request that uses it may fail;
    `right`: every hop of the path to it is Ok. A backend that could not be judged is neither.
    """

    suspect: frozenset[OtherBackend] = frozenset()
    right: frozenset[OtherBackend] = frozenset()


def other_backends(plan: Plan) -> tuple[OtherBackend, ...]:
    """All of them, name servers first. None if only one backend can be used, or if a denial is expected."""
    if plan.expect.denied:
        return ()
    several = not isinstance(plan.target, PodTarget) and len(plan.backends) > 1
    known = [(server, True) for server in _name_servers(plan)]
    known += [(backend, False) for backend in plan.backends if several]
    return tuple(OtherBackend(b.ip, b.port, of_dns) for b, of_dns in known if _is_ready(b))


def _is_ready(backend: Backend) -> bool:
    """Whether its node can be asked, if it is in the cluster."""
    place = backend.place
    return place is None or (place.agent is not None and place.agent.ready)


def _name_servers(plan: Plan) -> tuple[Backend, ...]:
    return plan.nameserver.backends if plan.nameserver else ()
