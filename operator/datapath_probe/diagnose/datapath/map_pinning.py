"""A pinned map counts only if the programs use it. When an agent starts, it re-creates maps and fills the new ones;
until an endpoint's programs are reloaded, they use the old maps, which are no longer pinned.

In: a context and a finding that rests on a pinned map. Out: the same finding; or, if the programs use another map of
that name, `InTransition`; or, if the agent started long ago, a fault of the map's hop. Read only if a contradiction was
read twice or the request failed, because it needs several lookups. Called by `examination`.

Source: Cilium 1.18 `daemon/cmd/datapath.go` (maps that are re-created), `bpf/lib/tailcall.h` (numbers of tail calls).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName, HopVerdict, Stance, Witness
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.plan import PodFacts
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Program
from ...sources.maps.map_keys import map_of
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..failure_model.model import has
from ..finding.finding import Finding, Statement
from .tail_calls import calls_from_pod, from_overlay_call


def check_map_in_use(context: CheckContext, finding: Finding) -> Finding:
    """The finding, or another one if the programs do not use the map that was read."""
    in_doubt = finding.verdict in (HopVerdict.STALE, HopVerdict.BROKEN) or (
        finding.verdict is HopVerdict.OK and context.outcome.met is False
    )
    looked_again = context.run.second_look or not context.confirmation.takes_second_look
    if not (in_doubt and looked_again and finding.map_lookups):
        return finding
    calls = _READERS[finding.hop](context)
    for lookup in finding.map_lookups if calls else ():
        instead = _used_instead(context, lookup, calls)
        if instead is not None:
            return _unused(context, finding, map_of(lookup), instead)
    return finding


def reloading(findings: Sequence[Finding]) -> str | None:
    """What `check_map_in_use` found in transition, as one sentence."""
    return next(
        (f.message for f in findings if has(f.hop, Defect.STALE_MAP) and f.reason is Reason.IN_TRANSITION),
        None,
    )


def _of_source(context: CheckContext) -> tuple[Fact, ...]:
    """The programs of the source."""
    return _programs(context, context.source) if _are_known(context) else ()


def _of_destination(context: CheckContext) -> tuple[Fact, ...]:
    """The programs of the destination."""
    return _programs(context, context.destination) if context.destination and _are_known(context) else ()


def _balancing(context: CheckContext) -> tuple[Fact, ...]:
    """The programs that load-balance per packet. None with socket load-balancing: programs at a cgroup do it."""
    return () if context.config.socket_lb else _programs(context, context.source)


def _delivering_requests(context: CheckContext) -> tuple[Fact, ...]:
    """The programs that deliver packets to the destination."""
    return _delivering(context, context.source, context.destination)


def _delivering_replies(context: CheckContext) -> tuple[Fact, ...]:
    """The programs that deliver packets to the source."""
    return _delivering(context, context.destination, context.source)


def _delivering(
    context: CheckContext, sender: PodFacts | None, receiver: PodFacts | None
) -> tuple[Fact, ...]:
    """On the same node, the sender's programs deliver packets; otherwise the programs at the tunnel device do."""
    if sender is None or receiver is None or not _are_known(context):
        return ()
    if not context.path.cross_node:
        return _programs(context, sender)
    if context.path.encapsulation is Encapsulation.NONE:
        return ()
    return (bpftool.overlay_call(receiver.node.name, from_overlay_call(context.plan.family)),)


def _are_known(context: CheckContext) -> bool:
    """Whether both ends have an endpoint."""
    ends = (context.source, context.destination)
    return all(end is not None and end.endpoint is not None for end in ends)


def _programs(context: CheckContext, pod: PodFacts) -> tuple[Fact, ...]:
    """The programs of a pod's endpoint, which are all loaded together with the same maps."""
    if pod.endpoint is None:
        return ()
    node, endpoint = pod.node.name, pod.endpoint.endpoint_id
    calls = (bpftool.endpoint_call(node, endpoint, index) for index in calls_from_pod(context.plan.family))
    return (*calls, bpftool.policy_call(node, endpoint))


_READERS: Mapping[HopName, Callable[[CheckContext], tuple[Fact, ...]]] = {
    HopName.SERVICE_LOOKUP: _balancing,
    HopName.IPCACHE_LOOKUP: _of_source,
    HopName.EGRESS_POLICY: _of_source,
    HopName.LOCALITY_LOOKUP: _of_source,
    HopName.ENDPOINT_LOOKUP: _delivering_requests,
    HopName.INGRESS_POLICY: _of_destination,
    HopName.REPLY_IPCACHE: _of_destination,
    HopName.REPLY_DELIVERY: _delivering_replies,
    HopName.REPLY_TRANSLATION: _balancing,
}
"""The programs that read the map of a hop."""


def _used_instead(context: CheckContext, lookup: Fact, calls: Sequence[Fact]) -> tuple[int, int] | None:
    """(ID of the pinned map, ID of the map of the same name that the programs use); None if they use the pinned one, or
    if unknown.
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
    what = f"programs on {finding.node} do not use the pinned {name} (map {pinned}), but map {instead}"
    run = context.run
    if agent and run.request.started - agent.started_at < run.windows.programs_reloading_s:
        message = f"{what}: the agent re-created it and is still reloading programs"
        return replace(
            finding,
            verdict=HopVerdict.UNKNOWN,
            reason=Reason.IN_TRANSITION,
            message=message,
            evidence=evidence,
        )
    message = f"{what}, which the agent no longer updates"
    return replace(
        finding,
        verdict=HopVerdict.STALE,
        reason=Reason.STALE_MAP_IN_USE,
        message=message,
        evidence=evidence,
        defects=(Defect.STALE_MAP,),
    )
