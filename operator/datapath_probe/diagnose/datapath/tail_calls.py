"""Missing tail calls of Cilium's programs: a program that calls one drops the packet (140).

Source: Cilium 1.18, 1.19 `bpf/lib/tailcall.h`, `bpf/bpf_lxc.c`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...addresses import IpFamily
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.map_layout import Layout
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

_VERSIONS_OF_CALLS = ("1.18.", "1.19.")


@dataclass(frozen=True, slots=True)
class _Calls:
    """The tail calls for packets of one version of IP, named as in `tailcall.h`."""

    from_lxc: int
    balancing: tuple[int, ...]  # CT_EGRESS, FROM_LXC_CONT
    to_container: tuple[int, ...]  # CT_INGRESS, TO_ENDPOINT: of cil_to_container
    policy: tuple[int, ...]  # CT_INGRESS_POLICY_ONLY, TO_LXC_POLICY_ONLY: of cil_lxc_policy


_CALLS = {
    IpFamily.IPV4: _Calls(7, (30, 26), (28, 13), (29, 11)),
    IpFamily.IPV6: _Calls(10, (33, 27), (31, 14), (32, 12)),
}


def calls_from_pod(family: IpFamily) -> tuple[int, ...]:
    """The tail calls that look up egress policy: with per-packet load balancing, the second."""
    return _CALLS[family].from_lxc, _CALLS[family].balancing[-1]


def from_overlay_call(family: IpFamily) -> int:
    """The tail call for packets from the tunnel, which has the number of that for packets from pods."""
    return _CALLS[family].from_lxc


def from_pod_calls(context: CheckContext) -> tuple[int, ...]:
    """The tail calls that every packet from a pod needs. With socket load-balancing there is only one: the others are
    compiled into it, except for L7 load balancing or SCTP, where a missing one is not reported.
    """
    calls = _CALLS[context.plan.family]
    return (calls.from_lxc,) if context.config.socket_lb else (calls.from_lxc, *calls.balancing)


def to_pod_calls(context: CheckContext) -> Sequence[int]:
    """The tail calls that every packet to a pod needs. With one version of IP, they are compiled into the policy
    program.
    """
    calls, config = _CALLS[context.plan.family], context.config
    if config.routes_to_endpoints:
        return calls.to_container
    return calls.policy if config.ipv4 and config.ipv6 else ()


def knows_calls(layout: Layout) -> bool:
    """Whether this version's programs and tail calls are known."""
    return layout.version.startswith(_VERSIONS_OF_CALLS)


def call_missing(context: CheckContext, node: str, endpoint: int, calls: Sequence[int]) -> Fault:
    """A missing tail call for packets of this endpoint."""
    facts = [bpftool.endpoint_call(node, endpoint, call) for call in calls]
    return _missing(context, node, f"endpoint {endpoint}", dict(zip(calls, facts, strict=True)))


def overlay_call_missing(context: CheckContext, node: str) -> Fault:
    """The same for packets from the tunnel."""
    call = from_overlay_call(context.plan.family)
    facts = {call: bpftool.overlay_call(node, call)}
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
