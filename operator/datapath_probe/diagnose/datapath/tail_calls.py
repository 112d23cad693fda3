"""Missing tail calls of Cilium's programs: a program that calls one drops the packet (140).

Source: Cilium 1.18, 1.19 `bpf/lib/tailcall.h`, `bpf/bpf_lxc.c`.
"""

from collections.abc import Sequence

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.map_layout import Layout
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

# CILIUM_CALL_IPV4_FROM_LXC, …_CT_EGRESS, …_FROM_LXC_CONT; CILIUM_CALL_IPV4_CT_INGRESS, …_TO_ENDPOINT
# (cil_to_container); …_CT_INGRESS_POLICY_ONLY, …_TO_LXC_POLICY_ONLY (cil_lxc_policy); CILIUM_CALL_IPV4_FROM_OVERLAY.
_VERSIONS_OF_CALLS = ("1.18.", "1.19.")
_FROM_POD_CALLS, _BALANCING_CALLS = (7,), (30, 26)
_TO_CONTAINER_CALLS, _POLICY_CALLS = (28, 13), (29, 11)
FROM_OVERLAY_CALL = 7
CALLS_FROM_POD = (7, 26)
"""The tail calls that look up egress policy: with per-packet load balancing, the second."""


def from_pod_calls(context: CheckContext) -> tuple[int, ...]:
    """The tail calls that every packet from a pod needs. With socket load-balancing there is only one: the others are
    compiled into it, except for L7 load balancing or SCTP, where a missing one is not reported.
    """
    return _FROM_POD_CALLS if context.config.socket_lb else (*_FROM_POD_CALLS, *_BALANCING_CALLS)


def to_pod_calls(context: CheckContext) -> Sequence[int]:
    """The tail calls that every packet to a pod needs. With IPv4 only, they are compiled into the policy program."""
    if context.config.routes_to_endpoints:
        return _TO_CONTAINER_CALLS
    return _POLICY_CALLS if context.config.ipv6 else ()


def knows_calls(layout: Layout) -> bool:
    """Whether this version's programs and tail calls are known."""
    return layout.version.startswith(_VERSIONS_OF_CALLS)


def call_missing(context: CheckContext, node: str, endpoint: int, calls: Sequence[int]) -> Fault:
    """A missing tail call for packets of this endpoint."""
    facts = [bpftool.endpoint_call(node, endpoint, call) for call in calls]
    return _missing(context, node, f"endpoint {endpoint}", dict(zip(calls, facts, strict=True)))


def overlay_call_missing(context: CheckContext, node: str) -> Fault:
    """The same for packets from the tunnel."""
    facts = {FROM_OVERLAY_CALL: bpftool.overlay_call(node, FROM_OVERLAY_CALL)}
    return _missing(context, node, "the tunnel device", facts)


def _missing(context: CheckContext, node: str, owner: str, facts: dict[int, Fact]) -> Fault:
    if context.outcome.met is not False:
        return None
    layout = context.layout(node)
    if not isinstance(layout, Unavailable) and not knows_calls(layout):
        return None
    found = {call: context.reader.read(fact, bpftool.parse_call) for call, fact in facts.items()}
    missing = [call for call, program in found.items() if isinstance(program, Absent)]
    if not missing:
        unread = (if_expected(program) for program in found.values() if isinstance(program, Unavailable))
        return next((reading for reading in unread if reading), None)
    if isinstance(layout, Unavailable):  # another version may not need these
        return if_expected(layout)
    numbers = ", ".join(map(str, missing))
    message = f"the programs of {owner} on {node} lack tail call {numbers}: packets are dropped (140)"
    rests_on = tuple(facts[call] for call in missing)
    return Contradiction(Reason.PROGRAM_MISSING, message, (Defect.TAIL_CALL_MISSING,), rests_on)
