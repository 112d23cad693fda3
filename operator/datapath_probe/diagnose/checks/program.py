"""Hops `source-program` and `reply-program`: `cil_from_container` is attached first at the node's end of a pod's pair.
Hop `destination-program`: the destination's policy program, which packets are tail-called into.

Exercise 4. Source: Cilium 1.18 `pkg/datapath/loader/loader.go`, `tc.go`, `netkit.go`; `bpf/lib/local_delivery.h`.
"""

from dataclasses import replace

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Attachment, Direction
from ..context import CheckContext
from ..datapath.held_programs import not_held
from ..datapath.local_delivery import TO_CONTAINER, as_inconclusive, missing_program, uses_policy_program
from ..datapath.policy_program import not_its_own, owner_is_known, program_in_slot
from ..datapath.tail_calls import call_missing, from_pod_calls, to_pod_calls
from ..failure_model.effect import Defect
from ..finding.faults import worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..lookup.attached_programs import Hook, programs
from ..netstack.foreign_programs import program_before

FROM_CONTAINER = "cil_from_container"


def check_source_program(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The program that processes packets from the source."""
    return _from_container(context, expected, context.source, seen=context.connection.left)


def check_reply_program(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The program that processes replies from the destination."""
    assert context.destination is not None  # the path has this hop only with a destination
    return _from_container(context, expected, context.destination, seen=context.connection.answered)


def check_destination_program(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The endpoint's slot in `cilium_call_policy`: if it is empty, its packets are dropped (203)."""
    assert context.destination is not None  # the path has this hop only with a destination
    hop = context.hop(expected, "cilium_call_policy")
    agent = context.agent_endpoint(context.destination)
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    hop.object = f"cilium_call_policy[{agent.id}]"
    hop.intent(f"a policy program for endpoint {agent.id}")
    missing = missing_program(context, hop, agent)
    if missing:
        return hop.fault(missing)
    missing_call = call_missing(context, expected.node, agent.id, to_pod_calls(context))
    if not uses_policy_program(context):
        hop.object = f"{TO_CONTAINER}@{agent.interface_name}"
        decides = hop.ok(f"{TO_CONTAINER} decides for endpoint {agent.id}")
        return worst_of(hop, as_inconclusive(context, decides), missing_call)
    if context.connection.received:
        hop.observed("the entry of this connection, which only this program creates")
    program = program_in_slot(context, hop, agent.id, lost="packets to it")
    if not isinstance(program, int):
        return hop.fault(program)
    hop.programmed(f"program {program}", {"programID": program})
    decides = as_inconclusive(context, hop.ok(f"program {program} decides for endpoint {agent.id}"))
    if not owner_is_known(context, expected.node):
        decides = replace(decides, inconclusive=True)
    return worst_of(hop, decides, missing_call, not_its_own(context, expected.node, agent.id, program))


def _from_container(context: CheckContext, expected: ExpectedHop, pod: PodFacts, *, seen: bool) -> Finding:
    """The program at the ingress of the pod's device on its node."""
    hop = context.hop(expected, FROM_CONTAINER)
    agent = context.agent_endpoint(pod)
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    device = agent.interface_name
    hop.object = f"{FROM_CONTAINER}@{device}"
    hop.intent(f"{FROM_CONTAINER} at the ingress of {device}", {"interface": device})
    if seen:
        hop.observed("an entry of this connection, which only this program creates")
    hook = Hook(expected.node, device, Direction.INGRESS, FROM_CONTAINER, agent.id)
    context.reader.want(hook.link())  # needed by `not_held`: collect it in the same round
    chain = programs(context.reader, hook)
    if isinstance(chain, Unavailable):
        return hop.unknown(chain)
    _state(hop, chain)
    if not any(bpftool.is_program(attached.program, FROM_CONTAINER) for attached in chain):
        message = f"{FROM_CONTAINER} is not attached to {device} on {expected.node}: packets bypass Cilium"
        return hop.stale(Contradiction(Reason.PROGRAM_MISSING, message, (Defect.BYPASSED,), (hook.attached,)))
    first = not_held(context, hook, chain) or program_before(context, expected.node, FROM_CONTAINER, chain)
    if first:
        return hop.fault(first)
    if pod is context.source and context.connection.no_conntrack_entries and context.outcome.met is False:
        message = f"{FROM_CONTAINER} created no entry of this connection, although there was an answer"
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))
    missing_call = call_missing(context, expected.node, agent.id, from_pod_calls(context))
    return worst_of(hop, hop.ok(f"{FROM_CONTAINER} is attached by {chain[0].attach}"), missing_call)


def _state(hop: HopCheck, chain: tuple[Attachment, ...]) -> None:
    """State the attached programs, in order."""
    hop.programmed(
        ", ".join(f"{attached.program} ({attached.kind})" for attached in chain) or "nothing attached",
        {
            "programs": ", ".join(attached.program for attached in chain),
            "attach": chain[0].attach if chain else "",
            "programID": chain[0].program_id if chain else "",
        },
    )
