"""Whose program is in an endpoint's slot of `cilium_call_policy`: the endpoint's own, another's, or none of Cilium's.

Asked only after a failed request. In: a case, the slot and the program that was found in it. Out: what is wrong with
it. Called by the checks of the destination's program and, for replies, of the source's.
Source: Cilium 1.18, 1.19 `bpf/bpf_lxc.c` (cil_lxc_policy), `pkg/datapath/loader/loader.go` (reloadEndpoint).
"""

from ...api.reasons import Reason
from ...evidence.question import Question
from ...evidence.reading import Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Program
from ...sources.maps import policymap
from ...sources.maps.policymap import TrafficDirection
from ..context import Case
from ..finding.faults import Suspect, unheard
from ..finding.finding import Rung
from ..finding.hop_check import Contradiction
from .tail_calls import CALLS_FROM_POD, knows_calls

_POLICY_PROGRAM = "cil_lxc_policy"


def owner_is_known(case: Case, node: str) -> bool:
    """Whether it can be told whose program is in a slot: names and maps of programs go with the version."""
    layout = case.layout(node)
    return not isinstance(layout, Unavailable) and knows_calls(layout)


def not_its_own(
    case: Case, node: str, endpoint: int, number: int, taken: frozenset[Rung], misled: frozenset[Rung]
) -> Suspect:
    """A program, by its number, that is not this endpoint's. `taken`, `misled`: how far packets come if it is a
    stranger, or decides for another endpoint.
    """
    if case.outcome.met is not False:
        return None
    layout = case.layout(node)
    if isinstance(layout, Unavailable):
        return unheard(layout)
    if not knows_calls(layout):
        return None
    slot, shown = bpftool.policy_call(node, endpoint), bpftool.prog(node, number)
    program = case.lens.read(shown, bpftool.parse_prog)
    if isinstance(program, Unavailable):
        return unheard(program)
    where = f"cilium_call_policy[{endpoint}] on {node} holds program {number}"
    if not bpftool.is_program(program.name, _POLICY_PROGRAM):
        message = f"{where} ({program.name or 'without a name'}), which is not Cilium's"
        return Contradiction(Reason.FOREIGN_PROGRAM_FIRST, message, taken, (slot, shown))
    anyone = policymap.lookup(
        node, layout, endpoint, TrafficDirection.INGRESS, policymap.ANY_IDENTITY, port=0
    )
    own_map = bpftool.map_id(node, bpftool.map_of(anyone))
    own = case.lens.read(own_map, bpftool.parse_map_id)
    if isinstance(own, Unavailable):
        return unheard(own)
    if own in program.map_ids or not _uses(case, node, endpoint, own):
        return None
    calls = case.lens.read(bpftool.map_id(node, bpftool.calls_of(endpoint)), bpftool.parse_map_id)
    if isinstance(calls, Unavailable):
        return unheard(calls)
    if calls in program.map_ids:  # with IPv6 too, its own programs do the work
        return None
    message = f"{where}, which is another endpoint's: it uses neither this one's policy map nor its programs"
    return Contradiction(Reason.FOREIGN_PROGRAM_FIRST, message, misled, (slot, shown, own_map))


def _uses(case: Case, node: str, endpoint: int, policy_map: int) -> bool:
    """Whether the endpoint's other programs use this map: one that none uses is told of by the policy's hop."""
    return any(policy_map in _maps(case, bpftool.endpoint_call(node, endpoint, c)) for c in CALLS_FROM_POD)


def _maps(case: Case, call: Question) -> tuple[int, ...]:
    number = case.lens.read(call, bpftool.parse_call)
    if not isinstance(number, int):
        return ()
    program = case.lens.read(bpftool.prog(call.node, number), bpftool.parse_prog)
    return program.map_ids if isinstance(program, Program) else ()
