"""A pinned map counts only if the programs use it. While it starts, an agent re-creates maps and fills the new ones;
until an endpoint's programs are loaded anew they go on with the old ones, which no path leads to any more.

In: a case and a finding that rests on a pinned map. Out: the same finding; or, where the programs use another map of
that name, `InTransition` — and if an agent that started long ago left it so, a fault of that map's hop. Asked only when
a contradiction was seen twice or the request failed, because it costs some look-ups. Called by `diagnose`.

Source: Cilium 1.18 `daemon/cmd/datapath.go` (maps that are re-created), `bpf/lib/tailcall.h` (numbers of tail calls).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName, HopVerdict, Stance, Witness
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.plan import PodFacts
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Program
from ...sources.bpf.map_layout import Layout
from ...sources.maps import ipcache, lbmap, lxcmap, policymap
from ...sources.maps.map_keys import map_of
from ...sources.maps.policymap import TrafficDirection
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..failure_model.model import has
from ..finding.finding import Finding, Statement

# The first is where a pod's packets are load-balanced and where packets leave the tunnel; with load-balancing in the
# pod's own program, the rest of its work is in the second.
_FROM_LXC, _FROM_LXC_CONT = 7, 26


@dataclass(frozen=True, slots=True)
class _Use:
    """Maps by a look-up in each, and where to find the programs that use them."""

    lookups: tuple[Fact, ...]
    calls: tuple[Fact, ...]


def check_map_in_use(context: CheckContext, finding: Finding) -> Finding:
    """The finding as it counts once it is known whether the programs use what was read."""
    in_doubt = finding.verdict in (HopVerdict.STALE, HopVerdict.BROKEN) or (
        finding.verdict is HopVerdict.OK and context.outcome.met is False
    )
    looked_again = context.run.second_look or not context.confirmation.takes_second_look
    use = _use(context, finding.hop) if looked_again and in_doubt else None
    if use is None:
        return finding
    for lookup in use.lookups:
        instead = _used_instead(context, lookup, use.calls)
        if instead is not None:
            return _unused(context, finding, map_of(lookup), instead)
    return finding


def reloading(findings: Sequence[Finding]) -> str | None:
    """What `check_map_in_use` found in transition, as one sentence."""
    return next(
        (f.message for f in findings if has(f.hop, Defect.STALE_MAP) and f.reason is Reason.IN_TRANSITION),
        None,
    )


def _use(context: CheckContext, hop: HopName) -> _Use | None:
    """What this hop reads and which programs do; None for a hop that reads no map, or too little is known."""
    source, destination = context.source, context.destination
    if hop in (HopName.SERVICE_LOOKUP, HopName.REPLY_TRANSLATION):
        return _service_use(context, hop)
    if destination is None or destination.endpoint is None or source.endpoint is None:
        return None
    lookup: Fact | None = None
    programs: tuple[Fact, ...] = ()
    match hop:
        case HopName.IPCACHE_LOOKUP:
            lookup, programs = _ipcache(context, source, destination), _programs(source)
        case HopName.REPLY_IPCACHE:
            lookup, programs = _ipcache(context, destination, source), _programs(destination)
        case HopName.EGRESS_POLICY:
            lookup, programs = _policy(context, source), _programs(source)
        case HopName.INGRESS_POLICY:
            lookup, programs = _policy(context, destination), _programs(destination)
        case HopName.LOCALITY_LOOKUP:
            lookup, programs = lxcmap.lookup(source.node.name, context.address), _programs(source)
        case HopName.ENDPOINT_LOOKUP:
            lookup = lxcmap.lookup(destination.node.name, context.address)
            programs = _delivering(context, sender=source, receiver=destination)
        case HopName.REPLY_DELIVERY:
            lookup = lxcmap.lookup(source.node.name, source.ip)
            programs = _delivering(context, sender=destination, receiver=source)
    return _Use((lookup,), programs) if lookup else None


def _service_use(context: CheckContext, hop: HopName) -> _Use | None:
    """With socket load-balancing these maps are read by programs at a cgroup, and not on the packets' way."""
    frontend, node = context.plan.frontend, context.path.source_node
    if frontend is None or context.config.socket_lb:
        return None
    if hop is HopName.REPLY_TRANSLATION:
        return _Use((lbmap.revnat(node, 1),), _programs(context.source))
    slot = lbmap.slot(node, lbmap.Frontend(frontend.ip, frontend.number), 0)
    return _Use((slot, lbmap.backend(node, 1)), _programs(context.source))


def _ipcache(context: CheckContext, pod: PodFacts, peer: PodFacts) -> Fact | None:
    layout = context.layout(pod.node.name)
    return ipcache.lookup(pod.node.name, layout, peer.ip) if isinstance(layout, Layout) else None


def _policy(context: CheckContext, pod: PodFacts) -> Fact | None:
    node, layout = pod.node.name, context.layout(pod.node.name)
    if pod.endpoint is None or not isinstance(layout, Layout):
        return None
    number, anyone = pod.endpoint.endpoint_id, policymap.ANY_IDENTITY
    return policymap.lookup(node, layout, number, TrafficDirection.EGRESS, anyone, 0)


def _programs(pod: PodFacts) -> tuple[Fact, ...]:
    """Where the programs of a pod's endpoint are: all of them are loaded together, with the same maps."""
    if pod.endpoint is None:
        return ()
    node, endpoint = pod.node.name, pod.endpoint.endpoint_id
    calls = (bpftool.endpoint_call(node, endpoint, index) for index in (_FROM_LXC, _FROM_LXC_CONT))
    return (*calls, bpftool.policy_call(node, endpoint))


def _delivering(context: CheckContext, sender: PodFacts, receiver: PodFacts) -> tuple[Fact, ...]:
    """On their own node packets are delivered by the sender's programs, otherwise by those at the tunnel's end."""
    if not context.path.cross_node:
        return _programs(sender)
    if context.path.encapsulation is Encapsulation.NONE:
        return ()
    return (bpftool.overlay_call(receiver.node.name, _FROM_LXC),)


def _used_instead(context: CheckContext, lookup: Fact, calls: Sequence[Fact]) -> tuple[int, int] | None:
    """(the pinned map, the map of the same name that the programs use); None if they use the pinned one, or if that
    can't be said.
    """
    node, name, reader = lookup.node, map_of(lookup), context.reader
    used: set[int] = set()
    pinned = reader.read(bpftool.map_id(node, name), bpftool.parse_map_id)
    for call in calls:
        number = reader.read(call, bpftool.parse_call)
        program = (
            reader.read(bpftool.prog(node, number), bpftool.parse_prog) if isinstance(number, int) else number
        )
        if isinstance(program, Unavailable):
            return None
        used.update(program.map_ids if isinstance(program, Program) else ())
    if isinstance(pinned, Unavailable) or pinned in used:
        return None
    of_that_name = reader.read(bpftool.maps_named(node, name), bpftool.parse_map_ids)
    others = used.intersection(() if isinstance(of_that_name, Unavailable) else of_that_name)
    return (pinned, min(others)) if others else None


def _unused(context: CheckContext, finding: Finding, name: str, ids: tuple[int, int]) -> Finding:
    pinned, instead = ids
    nodes = (pod.node for pod in (context.source, context.destination) if pod)
    agent = next(node.agent for node in nodes if node.name == finding.node)
    statement = finding.evidence.get(Witness.PROGRAMMED)
    facts = {**(statement.facts if statement else {}), "pinnedMap": str(pinned), "usedMap": str(instead)}
    summary = f"programs use map {instead}, the agent fills map {pinned}"
    evidence = {**finding.evidence, Witness.PROGRAMMED: Statement(Stance.CONTRADICTS, summary, facts)}
    what = f"programs on {finding.node} do not use {name} as it is pinned (map {pinned}), but map {instead}"
    run = context.run
    if agent and run.request.started - agent.started_at < run.windows.programs_reloading_s:
        message = f"{what}: the agent has re-created it and is still loading programs anew"
        return replace(
            finding,
            verdict=HopVerdict.UNKNOWN,
            reason=Reason.IN_TRANSITION,
            message=message,
            evidence=evidence,
        )
    message = f"{what}, which nobody keeps up to date"
    return replace(
        finding,
        verdict=HopVerdict.STALE,
        reason=Reason.STALE_MAP_IN_USE,
        message=message,
        evidence=evidence,
        defects=(Defect.STALE_MAP,),
    )
