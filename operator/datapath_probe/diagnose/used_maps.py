"""A pinned map counts only if the programs use it. While it starts, an agent re-creates maps and fills the new ones;
until an endpoint's programs are loaded anew they go on with the old ones, which no path leads to any more.

In: a case and a finding that rests on a pinned map. Out: the same finding; or, where the programs use another map of
that name, `InTransition` — and if an agent that started long ago left it so, a fault of that map's hop. Asked only when
a contradiction was seen twice or the request failed, because it costs some look-ups. Called by `diagnose`.

Source: Cilium 1.18 `daemon/cmd/datapath.go` (maps that are re-created), `bpf/lib/tailcall.h` (numbers of tail calls).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..api.reasons import Reason
from ..api.vocabulary import Encapsulation, HopName, HopVerdict, Stance, Witness
from ..cilium import bpftool, ipcache, lbmap, lxcmap, policymap
from ..cilium.bpftool import Program
from ..cilium.layout import Layout
from ..cilium.policymap import TrafficDirection
from ..evidence.question import Question
from ..evidence.reading import Unavailable
from ..plan.plan import PodFacts
from .case import Case
from .findings import Finding, Rung, Statement

# The first is where a pod's packets are load-balanced and where packets leave the tunnel; with load-balancing in the
# pod's own program, the rest of its work is in the second.
_FROM_LXC, _FROM_LXC_CONT = 7, 26

# How far packets come if the map at this hop is not the one that the agent fills.
_PREDICTS = {
    HopName.SERVICE_LOOKUP: frozenset({Rung.NOTHING, Rung.SENT}),
    HopName.IPCACHE_LOOKUP: frozenset({Rung.NOTHING, Rung.TRANSLATED, Rung.SENT}),
    HopName.EGRESS_POLICY: frozenset({Rung.NOTHING, Rung.TRANSLATED}),
    HopName.LOCALITY_LOOKUP: frozenset({Rung.SENT}),
    HopName.ENDPOINT_LOOKUP: frozenset({Rung.SENT, Rung.RECEIVED}),
    HopName.INGRESS_POLICY: frozenset({Rung.SENT}),
    HopName.REPLY_IPCACHE: frozenset({Rung.ANSWERED}),
    HopName.REPLY_DELIVERY: frozenset({Rung.ANSWERED, Rung.REPLIED}),
    HopName.REPLY_TRANSLATION: frozenset({Rung.REPLIED}),
}


@dataclass(frozen=True, slots=True)
class _Use:
    """Maps by a look-up in each, and where to find the programs that use them."""

    lookups: tuple[Question, ...]
    calls: tuple[Question, ...]


def weigh(case: Case, finding: Finding) -> Finding:
    """The finding as it counts once it is known whether the programs use what was read."""
    in_doubt = finding.verdict in (HopVerdict.STALE, HopVerdict.BROKEN) or (
        finding.verdict is HopVerdict.OK and case.outcome.met is False
    )
    use = _use(case, finding.hop) if case.run.second_look and in_doubt else None
    if use is None:
        return finding
    for lookup in use.lookups:
        instead = _used_instead(case, lookup, use.calls)
        if instead is not None:
            return _unused(case, finding, bpftool.map_of(lookup), instead)
    return finding


def reloading(findings: Sequence[Finding]) -> str | None:
    """What `weigh` found in transition, as one sentence."""
    return next(
        (f.message for f in findings if f.hop in _PREDICTS and f.reason is Reason.IN_TRANSITION), None
    )


def _use(case: Case, hop: HopName) -> _Use | None:
    """What this hop reads and which programs do; None for a hop that reads no map, or too little is known."""
    source, destination = case.source, case.destination
    if hop in (HopName.SERVICE_LOOKUP, HopName.REPLY_TRANSLATION):
        return _service_use(case, hop)
    if destination is None or destination.endpoint is None or source.endpoint is None:
        return None
    lookup: Question | None = None
    programs: tuple[Question, ...] = ()
    match hop:
        case HopName.IPCACHE_LOOKUP:
            lookup, programs = _ipcache(case, source, destination), _programs(source)
        case HopName.REPLY_IPCACHE:
            lookup, programs = _ipcache(case, destination, source), _programs(destination)
        case HopName.EGRESS_POLICY:
            lookup, programs = _policy(case, source), _programs(source)
        case HopName.INGRESS_POLICY:
            lookup, programs = _policy(case, destination), _programs(destination)
        case HopName.LOCALITY_LOOKUP:
            lookup, programs = lxcmap.lookup(source.node.name, case.address), _programs(source)
        case HopName.ENDPOINT_LOOKUP:
            lookup = lxcmap.lookup(destination.node.name, case.address)
            programs = _delivering(case, sender=source, receiver=destination)
        case HopName.REPLY_DELIVERY:
            lookup = lxcmap.lookup(source.node.name, source.pod.ip)
            programs = _delivering(case, sender=destination, receiver=source)
    return _Use((lookup,), programs) if lookup else None


def _service_use(case: Case, hop: HopName) -> _Use | None:
    """With socket load-balancing these maps are read by programs at a cgroup, and not on the packets' way."""
    frontend, node = case.plan.frontend, case.path.source_node
    if frontend is None or case.config.socket_lb:
        return None
    if hop is HopName.REPLY_TRANSLATION:
        return _Use((lbmap.revnat(node, 1),), _programs(case.source))
    slot = lbmap.slot(node, lbmap.Frontend(frontend.ip, frontend.number), 0)
    return _Use((slot, lbmap.backend(node, 1)), _programs(case.source))


def _ipcache(case: Case, pod: PodFacts, peer: PodFacts) -> Question | None:
    layout = case.layout(pod.node.name)
    return ipcache.lookup(pod.node.name, layout, peer.pod.ip) if isinstance(layout, Layout) else None


def _policy(case: Case, pod: PodFacts) -> Question | None:
    node, layout = pod.node.name, case.layout(pod.node.name)
    if pod.endpoint is None or not isinstance(layout, Layout):
        return None
    number, anyone = pod.endpoint.endpoint_id, policymap.ANY_IDENTITY
    return policymap.lookup(node, layout, number, TrafficDirection.EGRESS, anyone, 0)


def _programs(pod: PodFacts) -> tuple[Question, ...]:
    """Where the programs of a pod's endpoint are: all of them are loaded together, with the same maps."""
    if pod.endpoint is None:
        return ()
    node, endpoint = pod.node.name, pod.endpoint.endpoint_id
    calls = (bpftool.endpoint_call(node, endpoint, index) for index in (_FROM_LXC, _FROM_LXC_CONT))
    return (*calls, bpftool.policy_call(node, endpoint))


def _delivering(case: Case, sender: PodFacts, receiver: PodFacts) -> tuple[Question, ...]:
    """On their own node packets are delivered by the sender's programs, otherwise by those at the tunnel's end."""
    if not case.path.cross_node:
        return _programs(sender)
    if case.path.encapsulation is Encapsulation.NONE:
        return ()
    return (bpftool.overlay_call(receiver.node.name, _FROM_LXC),)


def _used_instead(case: Case, lookup: Question, calls: Sequence[Question]) -> tuple[int, int] | None:
    """(the pinned map, the map of the same name that the programs use); None if they use the pinned one, or if that
    can't be said.
    """
    node, name, lens = lookup.node, bpftool.map_of(lookup), case.lens
    used: set[int] = set()
    pinned = lens.read(bpftool.map_id(node, name), bpftool.parse_map_id)
    for call in calls:
        number = lens.read(call, bpftool.parse_call)
        program = (
            lens.read(bpftool.prog(node, number), bpftool.parse_prog) if isinstance(number, int) else number
        )
        if isinstance(program, Unavailable):
            return None
        used.update(program.map_ids if isinstance(program, Program) else ())
    if isinstance(pinned, Unavailable) or pinned in used:
        return None
    of_that_name = lens.read(bpftool.maps_named(node, name), bpftool.parse_map_ids)
    others = used.intersection(() if isinstance(of_that_name, Unavailable) else of_that_name)
    return (pinned, min(others)) if others else None


def _unused(case: Case, finding: Finding, name: str, ids: tuple[int, int]) -> Finding:
    pinned, instead = ids
    nodes = (pod.node for pod in (case.source, case.destination) if pod)
    agent = next(node.agent for node in nodes if node.name == finding.node)
    statement = finding.evidence.get(Witness.PROGRAMMED)
    facts = {**(statement.facts if statement else {}), "pinnedMap": str(pinned), "usedMap": str(instead)}
    summary = f"programs use map {instead}, the agent fills map {pinned}"
    evidence = {**finding.evidence, Witness.PROGRAMMED: Statement(Stance.CONTRADICTS, summary, facts)}
    what = f"programs on {finding.node} do not use {name} as it is pinned (map {pinned}), but map {instead}"
    run = case.run
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
        reason=Reason.MAP_NOT_USED,
        message=message,
        evidence=evidence,
        predicts=_PREDICTS[finding.hop],
    )
