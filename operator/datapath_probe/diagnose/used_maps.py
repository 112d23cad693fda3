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

# An agent that has not loaded an endpoint's programs anew by now will not do so by itself.
_RELOADED_S = 180.0

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
    destination, frontend, path = case.destination, case.plan.frontend, case.path
    source_node = path.source_node
    of_source = _programs(case.source)
    if frontend and not case.config.socket_lb:
        address = lbmap.Frontend(frontend.ip, frontend.port.port)
        if hop is HopName.SERVICE_LOOKUP:
            return _Use((lbmap.slot(source_node, address, 0), lbmap.backend(source_node, 1)), of_source)
        if hop is HopName.REPLY_TRANSLATION:
            return _Use((lbmap.revnat(source_node, 1),), of_source)
    if destination is None or destination.endpoint is None or case.source.endpoint is None:
        return None
    node = destination.node.name
    layouts = case.layout(source_node), case.layout(node)
    if isinstance(layouts[0], Unavailable) or isinstance(layouts[1], Unavailable):
        return None
    of_destination = _programs(destination)
    # on their own node, packets are delivered by the sender's programs, otherwise by those at the tunnel's end
    tunneled = path.cross_node and path.encapsulation is not Encapsulation.NONE
    delivering = (bpftool.overlay_call(node, _FROM_LXC),) if tunneled else of_source
    returning = (bpftool.overlay_call(source_node, _FROM_LXC),) if tunneled else of_destination
    native = path.cross_node and not tunneled
    source_ip, ip = case.source.pod.ip, case.address
    uses = {
        HopName.IPCACHE_LOOKUP: _Use((ipcache.lookup(source_node, layouts[0], ip),), of_source),
        HopName.EGRESS_POLICY: _Use((_policy(case.source, layouts[0], TrafficDirection.EGRESS),), of_source),
        HopName.LOCALITY_LOOKUP: _Use((lxcmap.lookup(source_node, ip),), of_source),
        HopName.ENDPOINT_LOOKUP: None if native else _Use((lxcmap.lookup(node, ip),), delivering),
        HopName.INGRESS_POLICY: _Use(
            (_policy(destination, layouts[1], TrafficDirection.INGRESS),), of_destination
        ),
        HopName.REPLY_IPCACHE: _Use((ipcache.lookup(node, layouts[1], source_ip),), of_destination),
        HopName.REPLY_DELIVERY: None if native else _Use((lxcmap.lookup(source_node, source_ip),), returning),
    }
    return uses.get(hop)


def _programs(pod: PodFacts) -> tuple[Question, ...]:
    """Where the programs of a pod's endpoint are: all of them are loaded together, with the same maps."""
    if pod.endpoint is None:
        return ()
    node, endpoint = pod.node.name, pod.endpoint.endpoint_id
    calls = (bpftool.endpoint_call(node, endpoint, index) for index in (_FROM_LXC, _FROM_LXC_CONT))
    return (*calls, bpftool.policy_call(node, endpoint))


def _policy(pod: PodFacts, layout: Layout, direction: TrafficDirection) -> Question:
    assert pod.endpoint is not None
    return policymap.lookup(
        pod.node.name, layout, pod.endpoint.endpoint_id, direction, policymap.ANY_IDENTITY, 0
    )


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
    if agent and case.run.request.started - agent.started_at < _RELOADED_S:
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
