"""Which program is in an endpoint's slot of `cilium_call_policy`: the endpoint's own one, another endpoint's, or one
that is not Cilium's.

Read only after a failed request. In: a context, the slot and its program. Out: what is wrong with it. Called by the
checks of the destination's program and of the delivery of replies.
Source: Cilium 1.18, 1.19 `bpf/bpf_lxc.c` (cil_lxc_policy), `pkg/datapath/loader/loader.go` (reloadEndpoint).
"""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Program
from ...sources.bpf.map_layout import Layout
from ...sources.maps import policymap
from ...sources.maps.map_keys import map_of
from ...sources.maps.policymap import TrafficDirection
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction, HopCheck
from .tail_calls import calls_from_pod, knows_calls

_POLICY_PROGRAM = "cil_lxc_policy"


def owner_is_known(context: CheckContext, node: str) -> bool:
    """Whether the owner of a program can be determined: names and maps of programs depend on the version."""
    layout = context.layout(node)
    return not isinstance(layout, Unavailable) and knows_calls(layout)


def program_in_slot(
    context: CheckContext, hop: HopCheck, endpoint: int, lost: str
) -> int | Contradiction | Unavailable:
    """The ID of the program in the endpoint's slot. Without one, the packets that `lost` names are dropped."""
    node = hop.expected.node
    fact = bpftool.policy_call(node, endpoint)
    program = context.reader.read(fact, bpftool.parse_call)
    if not isinstance(program, Absent):
        return program
    hop.programmed("no program")
    message = f"endpoint {endpoint} on {node} has no policy program: {lost} are dropped (203)"
    return Contradiction(Reason.PROGRAM_MISSING, message, (Defect.NO_POLICY_PROGRAM,), (fact,))


def not_its_own(context: CheckContext, node: str, endpoint: int, number: int) -> Fault:
    """A program, by its ID, that is not this endpoint's."""
    if context.outcome.met is not False:
        return None
    layout = context.layout(node)
    if isinstance(layout, Unavailable):
        return if_expected(layout)
    if not knows_calls(layout):
        return None
    slot, shown = bpftool.policy_call(node, endpoint), bpftool.prog(node, number)
    program = context.reader.read(shown, bpftool.parse_prog)
    if isinstance(program, Unavailable):
        return if_expected(program)
    where = f"cilium_call_policy[{endpoint}] on {node} holds program {number}"
    if not bpftool.is_program(program.name, _POLICY_PROGRAM):
        message = f"{where} ({program.name or 'without a name'}), which is not Cilium's"
        return Contradiction(Reason.FOREIGN_PROGRAM, message, (Defect.BYPASSED,), (slot, shown))
    return _another_endpoints(context, layout, endpoint, program, where, (slot, shown))


def _another_endpoints(
    context: CheckContext,
    layout: Layout,
    endpoint: int,
    program: Program,
    where: str,
    rests_on: tuple[Fact, Fact],
) -> Fault:
    """A policy program that uses neither the endpoint's policy map nor its other programs."""
    node = rests_on[0].node
    anyone = policymap.lookup(
        node, layout, endpoint, TrafficDirection.INGRESS, policymap.ANY_IDENTITY, port=0
    )
    own_map = bpftool.map_id(node, map_of(anyone))
    own = context.reader.read(own_map, bpftool.parse_map_id)
    if isinstance(own, Unavailable):
        return if_expected(own)
    if own in program.map_ids or not _uses(context, node, endpoint, own):
        return None
    calls = context.reader.read(bpftool.map_id(node, bpftool.calls_of(endpoint)), bpftool.parse_map_id)
    if isinstance(calls, Unavailable):
        return if_expected(calls)
    if calls in program.map_ids:  # with both versions of IP, the policy map is used by tail-called programs
        return None
    message = (
        f"{where}, which is another endpoint's: it uses neither this endpoint's policy map nor its programs"
    )
    return Contradiction(
        Reason.FOREIGN_PROGRAM, message, (Defect.OTHER_ENDPOINTS_PROGRAM,), (*rests_on, own_map)
    )


def _uses(context: CheckContext, node: str, endpoint: int, policy_map: int) -> bool:
    """Whether the endpoint's other programs use this map. If none does, the policy hop reports it."""
    calls = calls_from_pod(context.plan.family)
    return any(policy_map in _maps(context, bpftool.endpoint_call(node, endpoint, call)) for call in calls)


def _maps(context: CheckContext, call: Fact) -> tuple[int, ...]:
    number = context.reader.read(call, bpftool.parse_call)
    if not isinstance(number, int):
        return ()
    program = context.reader.read(bpftool.prog(call.node, number), bpftool.parse_prog)
    return program.map_ids if isinstance(program, Program) else ()
