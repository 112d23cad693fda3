"""Hop `service-lookup`: the node has the Service's frontend, and the backends that apply to this node. Exercise 7.

Source: Cilium 1.18 `bpf/lib/lb.h` (`lb4_local`), `pkg/loadbalancer/reconciler`.
"""

from dataclasses import replace

from ...addresses import family_of, with_port
from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import Backend, Frontend
from ...sources.maps import lbmap
from ...sources.maps.lbmap import ServiceFlag
from ..context import CheckContext
from ..datapath.listed_addresses import wrongly_listed
from ..datapath.service_backends import (
    COMPARED_BACKENDS,
    NO_AFFINITY,
    ProgrammedBackends,
    frontend_of,
    has_affinity,
    master_at,
    programmed_of,
    serves_affinity,
)
from ..datapath.service_master_slot import master_slot_mismatch
from ..failure_model.effect import Defect
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..lookup.service_frontend import ServiceEntry, address_of
from .subpaths.unready_endpoints import unready_pods, why_unready

# With these flags, packets to the Service do not go to its backends.
_REDIRECTED = {
    lbmap.ServiceFlag.LOCAL_REDIRECT: "a local redirect policy",
    lbmap.ServiceFlag.L7_LOAD_BALANCER: "L7 load balancing by a proxy",
}


def check_service_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The node's frontend and backends match the ready endpoints for this node."""
    frontend = frontend_of(context)
    wanted = {with_port(backend.ip, backend.port) for backend in context.plan.backends}
    hop = context.hop(expected, f"{frontend.address}/{context.protocol}")
    hop.intent(
        f"{len(wanted)} ready endpoint(s)",
        {"frontend": frontend.address, "backends": ", ".join(sorted(wanted))},
    )
    if frontend.not_served and _chooses(context):
        return _not_served(context, hop, frontend)
    if not wanted and not _chooses(context):
        return _no_backends(context, hop, frontend)
    for number in range(1, 1 + len(context.plan.backends[:COMPARED_BACKENDS])):
        context.reader.want(
            lbmap.slot(expected.node, address_of(frontend), number)
        )  # as many slots as there should be
    master = master_at(context, expected.node)
    hop.rests_on_maps(master.rests_on[0], lbmap.backend(expected.node, 1, family_of(frontend.ip)))
    if isinstance(master.slot, Unavailable):
        is_certain = not wanted and context.outcome.met is False
        return _no_backends(context, hop, frontend) if is_certain else hop.unknown(master.slot)
    if isinstance(master.slot, Absent) or master.surrogate:
        hop.programmed("no such frontend")
        return hop.stale(_no_frontend(expected.node, frontend, master))
    redirected = _redirected(expected.node, frontend, master.slot)
    if redirected:
        return hop.not_followed(redirected)
    return _judge(context, hop, wanted, master, master.slot)


def _judge(
    context: CheckContext, hop: HopCheck, wanted: set[str], master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Finding:
    """Compare the programmed backends with the wanted ones."""
    node, frontend = hop.expected.node, frontend_of(context)
    programmed = programmed_of(context, node, master, slot_0)
    if isinstance(programmed, Unavailable):
        return hop.unknown(programmed)
    have = programmed.backends
    hop.programmed(
        f"{programmed.count} backend(s)",
        {"backends": ", ".join(sorted(have)), "revNAT": slot_0.rev_nat_id},
    )
    if not wanted and not have:
        return _no_backends(context, hop, frontend)
    contradiction = (
        wrongly_listed(context, only_chosen=True)
        or _compare(context, wanted, programmed, slot_0)
        or master_slot_mismatch(context, node, master, slot_0)
        or _affinity(context, slot_0, master.rests_on)
        or wrongly_listed(context)
    )
    if contradiction:
        return hop.stale(contradiction)
    if _may_be_remembered(context, frontend):
        message = "session affinity may have selected another backend: nothing shows which one was selected"
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))
    return hop.ok(f"{len(have)} backend(s), as in Kubernetes")


def _chooses(context: CheckContext) -> bool:
    """Whether Cilium selects the backend; for hosts, kube-proxy may do that."""
    return context.config.host_socket_lb or not context.source.pod.host_network


def _not_served(context: CheckContext, hop: HopCheck, frontend: Frontend) -> Finding:
    """Objects or settings exclude the Service from Cilium: that explains a missing entry. Another proxy may serve it,
    and an entry that is still there will be removed at the latest when the agent starts again.
    """
    master = master_at(context, hop.expected.node)
    hop.rests_on_maps(master.rests_on[0])
    if isinstance(master.slot, lbmap.ServiceSlot):
        hop.programmed("an entry remains")
        return hop.stale(
            Contradiction(Reason.SERVICE_NOT_SERVED, frontend.not_served, rests_on=master.rests_on)
        )
    hop.programmed("no such frontend")
    if context.outcome.met:
        return hop.not_followed(f"{frontend.not_served}, so another proxy serves it, which is not followed")
    rests_on = master.rests_on if isinstance(master.slot, Absent) else ()
    defects = (Defect.NOT_TRANSLATED,)
    return hop.stale(Contradiction(Reason.SERVICE_NOT_SERVED, frontend.not_served, defects, rests_on))


def _no_backends(context: CheckContext, hop: HopCheck, frontend: Frontend) -> Finding:
    """There is no backend to translate to."""
    name = f"{frontend.service.namespace}/{frontend.service.name}"
    message = f"Service {name} has no ready endpoint for {hop.expected.node}"
    unready = unready_pods(context)
    message += f": {unready} not Ready" if unready else ""
    return replace(hop.broken(Reason.NO_READY_BACKENDS, message), cause=why_unready(context))


def _redirected(node: str, frontend: Frontend, slot_0: lbmap.ServiceSlot) -> str | None:
    """Why packets to the Service do not go to its backends."""
    by = [name for flag, name in _REDIRECTED.items() if flag in slot_0.flags]
    if not by:
        return None
    return f"{node} has {' and '.join(by)} for {frontend.address}, which is not followed"


def balances_as_planned(context: CheckContext) -> bool:
    """Whether the source's node has exactly the planned backends."""
    frontend = context.plan.frontend
    if frontend is None or len(context.plan.backends) > COMPARED_BACKENDS:
        return False
    if frontend.service.session_affinity != NO_AFFINITY and context.config.socket_lb:
        return False  # affinity of sockets can't be looked up
    lookup = ExpectedHop(HopName.SERVICE_LOOKUP, context.path.source_node)
    return check_service_lookup(context, lookup).verdict is HopVerdict.OK


def _no_frontend(node: str, frontend: Frontend, master: ServiceEntry) -> Contradiction:
    message = f"{node} has no load-balancing entry for {frontend.address}"
    if master.surrogate:
        message = f"{message}; sockets find the one of {with_port(master.address.ip, master.address.port)}"
    defects = (Defect.OTHER_BACKEND,) if master.surrogate else (Defect.NOT_TRANSLATED,)
    return Contradiction(Reason.FRONTEND_MISSING, message, defects, master.rests_on)


def _compare(
    context: CheckContext, wanted: set[str], programmed: ProgrammedBackends, master: lbmap.ServiceSlot
) -> Contradiction | None:
    if programmed.count > COMPARED_BACKENDS or len(wanted) > COMPARED_BACKENDS:
        return _compare_many(context, wanted, programmed)
    node, have, rests_on = context.path.source_node, programmed.backends, programmed.rests_on
    missing, stale = ", ".join(sorted(wanted - have)), ", ".join(sorted(have - wanted))
    if programmed.dangling:
        message = (
            f"{node} balances to {programmed.count} backends, but has no entry for {', '.join(programmed.dangling)}: "
            "connections sent there are dropped"
        )
        return Contradiction(Reason.BACKEND_MISSING, message, (Defect.NOT_TRANSLATED,), rests_on)
    chosen = context.connection.chosen
    if not missing and not stale:
        affinity = has_affinity(context, master)
        remembered = _remembered(chosen, wanted, rests_on, node) if affinity else None
        return remembered or _inactive(context, programmed, node)
    if not have:
        message = f"{node} has no backend, Kubernetes has {missing}"
        return Contradiction(Reason.BACKEND_MISSING, message, (Defect.NOT_TRANSLATED,), rests_on)
    if not stale:
        message = f"{node} does not balance to {missing}"
        return Contradiction(Reason.BACKEND_MISSING, message, rests_on=rests_on)
    hit_stale = (
        (Defect.OTHER_BACKEND,) if chosen and with_port(chosen.ip, chosen.port) in have - wanted else ()
    )
    if missing:
        message = f"{node} balances to {stale} instead of {missing}"
        return Contradiction(Reason.BACKEND_MISMATCH, message, hit_stale, rests_on)
    message = f"{node} still balances to {stale}, which is not a ready endpoint"
    return Contradiction(Reason.BACKEND_STALE, message, hit_stale, rests_on)


def _affinity(
    context: CheckContext, slot_0: lbmap.ServiceSlot, rests_on: tuple[Fact, ...]
) -> Contradiction | None:
    """Session affinity that is enabled or disabled by mistake: it harms no connection."""
    node, wanted = context.path.source_node, frontend_of(context).service.session_affinity
    has_it = ServiceFlag.AFFINITY in slot_0.flags
    if has_it is (wanted != NO_AFFINITY) or not (has_it or serves_affinity(context, node)):
        return None
    message = (
        f"{node} balances {'with' if has_it else 'without'} session affinity, but the Service has {wanted}"
    )
    return Contradiction(Reason.AFFINITY_MISMATCH, message, rests_on=rests_on)


def _remembered(
    chosen: Backend | None, wanted: set[str], rests_on: tuple[Fact, ...], node: str
) -> Contradiction | None:
    """The backend of this connection is in no slot: only session affinity can have selected it."""
    if chosen is None or with_port(chosen.ip, chosen.port) in wanted:
        return None
    message = (
        f"{node} sent this connection to {with_port(chosen.ip, chosen.port)}, which is not a ready endpoint and in "
        "none of the Service's slots: session affinity still has it"
    )
    return Contradiction(Reason.BACKEND_STALE, message, (Defect.OTHER_BACKEND,), rests_on)


def _inactive(context: CheckContext, programmed: ProgrammedBackends, node: str) -> Contradiction | None:
    """A backend that is not active on the node, although its pod is ready. New connections still go to it, unless they
    reuse the ports of an earlier one.
    """
    for backend in context.plan.backends:
        state = programmed.states.get(with_port(backend.ip, backend.port), lbmap.BackendState.ACTIVE)
        ready = backend.pod_facts and backend.pod_facts.pod.ready and not backend.pod_facts.pod.terminating
        if ready and state != lbmap.BackendState.ACTIVE:
            known = state in set(lbmap.BackendState)
            name = lbmap.BackendState(state).name.lower() if known else f"of state {state}"
            message = (
                f"{node} has backend {with_port(backend.ip, backend.port)} as {name}, but its pod is ready"
            )
            return Contradiction(Reason.BACKEND_MISMATCH, message, rests_on=programmed.rests_on)
    return None


def _may_be_remembered(context: CheckContext, frontend: Frontend) -> bool:
    """Whether session affinity may have selected a backend that is in no slot."""
    connection = context.connection
    if context.report is None or frontend.service.session_affinity == NO_AFFINITY:
        return False
    known = connection.chosen or connection.untranslated or isinstance(connection.service, Absent)
    return not known


def _compare_many(
    context: CheckContext, wanted: set[str], programmed: ProgrammedBackends
) -> Contradiction | None:
    """With many backends, compare only their number and the selected one."""
    node, chosen = context.path.source_node, context.connection.chosen
    if chosen and with_port(chosen.ip, chosen.port) not in wanted:
        message = (
            f"{node} still balances to {with_port(chosen.ip, chosen.port)}, which is not a ready endpoint"
        )
        return Contradiction(Reason.BACKEND_STALE, message, (Defect.OTHER_BACKEND,), programmed.rests_on)
    if programmed.count == len(wanted):
        return None
    message = f"{node} has {programmed.count} backends, Kubernetes has {len(wanted)}"
    return Contradiction(Reason.BACKEND_MISMATCH, message, rests_on=programmed.rests_on)
