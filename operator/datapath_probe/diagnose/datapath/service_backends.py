"""A Service's entries on a node: its frontend, its slots and their backends, and session affinity.

In: a context and a node. Out: backends as "ip:port". Called by the checks of the Service's hops.
Source: Cilium 1.18 `bpf/lib/lb.h` (`lb4_local`), `pkg/loadbalancer/reconciler`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...addresses import family_of, with_port
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import Frontend
from ...sources.bpf.map_layout import Layout
from ...sources.maps import lbmap
from ...sources.maps.lbmap import ServiceFlag
from ..context import CheckContext
from ..lookup.service_frontend import ServiceEntry, lookup_service

# With more backends, only their number and the selected one are compared.
COMPARED_BACKENDS = 32
NO_AFFINITY = "None"
_AFFINITY_BY_SETTING = ("1.16.", "1.17.")


@dataclass(frozen=True, slots=True)
class ProgrammedBackends:
    """`count`: of slots. `states`: by backend, as "ip:port". `dangling`: slots and backends that have no entry."""

    count: int
    states: Mapping[str, int]
    dangling: tuple[str, ...]
    rests_on: tuple[Fact, ...]

    @property
    def backends(self) -> frozenset[str]:
        """The backends of all slots."""
        return frozenset(self.states)


def frontend_of(context: CheckContext) -> Frontend:
    """The requested frontend of the Service."""
    assert context.plan.frontend is not None  # the path has these hops only with a Service
    return context.plan.frontend


def master_at(context: CheckContext, node: str) -> ServiceEntry:
    """The node's entry for that frontend."""
    return lookup_service(context.reader, node, frontend_of(context), context.config.socket_lb)


def programmed_of(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> ProgrammedBackends | Unavailable:
    """The backends of all slots of the entry; with more than `COMPARED_BACKENDS`, only their number."""
    rests_on = [*master.rests_on]
    if slot_0.count > COMPARED_BACKENDS:
        return ProgrammedBackends(slot_0.count, {}, (), master.rests_on)
    states: dict[str, int] = {}
    dangling: list[str] = []
    failed: Unavailable | None = None
    for number in range(1, slot_0.count + 1):
        slot_fact = lbmap.slot(node, master.address, number)
        slot = context.reader.read(slot_fact, lbmap.parse_slot)
        rests_on.append(slot_fact)
        if isinstance(slot, Unavailable):
            failed = slot
            continue
        if isinstance(slot, Absent):
            dangling.append(f"slot {number}")
            continue
        backend_fact = lbmap.backend(node, slot.backend_id, family_of(master.address.ip))
        backend = context.reader.read(backend_fact, lbmap.parse_backend)
        rests_on.append(backend_fact)
        if isinstance(backend, Unavailable):
            failed = backend
        elif isinstance(backend, Absent):
            dangling.append(f"backend {slot.backend_id}")
        else:
            states[with_port(backend.ip, backend.port)] = backend.state
    return failed or ProgrammedBackends(slot_0.count, states, tuple(dangling), tuple(rests_on))


def has_affinity(context: CheckContext, master: lbmap.ServiceSlot) -> bool:
    """Whether the Service has session affinity, in Kubernetes or on the node."""
    wanted = frontend_of(context).service.session_affinity != NO_AFFINITY
    return wanted or ServiceFlag.AFFINITY in master.flags


def serves_affinity(context: CheckContext, node: str) -> bool:
    """Whether Cilium implements session affinity: before 1.18, if it replaces kube-proxy or a setting enables it."""
    layout = context.layout(node)
    always = isinstance(layout, Layout) and not layout.version.startswith(_AFFINITY_BY_SETTING)
    setting = context.plan.config.get("enable-session-affinity", "true" if always else "false")
    return context.config.kube_proxy_replacement or setting == "true"
