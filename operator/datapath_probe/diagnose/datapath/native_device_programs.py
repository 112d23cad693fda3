"""Cilium's programs at the devices through which nodes reach each other. Packets between pods pass without them, but
Services from outside, the host firewall and encryption do not work: a latent fault. A program that the agent does not
hold can also drop packets between pods.

The mode determines which programs there are; the agent's pinned links show it.
Source: Cilium 1.18 `pkg/datapath/loader/loader.go` (`reloadHostEndpoint`), `tc.go`, `tcx.go`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...plan.plan import NodeFacts
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import AttachKind, Attachment, Direction, PinnedLink
from ...sources.iproute2.links import CILIUM_HOST
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault
from ..finding.hop_check import Contradiction
from ..lookup.attached_programs import Hook, programs
from ..netstack.packet_model import uplinks
from .held_programs import not_held, other_xdp_program

FROM_NETDEV, TO_NETDEV = "cil_from_netdev", "cil_to_netdev"


def faults_at_uplinks(context: CheckContext, sender: NodeFacts, receiver: NodeFacts) -> Iterator[Fault]:
    """Missing programs, and programs that the agent does not hold, for packets from one node to the other: at the
    sender's egress, or the receiver's ingress.
    """
    for node, direction, program in (
        (sender, Direction.EGRESS, TO_NETDEV),
        (receiver, Direction.INGRESS, FROM_NETDEV),
    ):
        for device in sorted(uplinks(context, sender, receiver, of=node.name)):
            fault = _fault(context, Hook(node.name, device, direction, program))
            yield replace(fault, node=node.name) if isinstance(fault, Contradiction) else fault


def faults_at_exit(context: CheckContext, node: str, device: str | None) -> Iterator[Fault]:
    """Missing programs at the device where packets leave the cluster, which would masquerade them."""
    if device is None:
        return
    yield _at_exit(
        context,
        Hook(node, device, Direction.EGRESS, TO_NETDEV),
        "masquerades packets",
        Defect.NOT_MASQUERADED,
    )
    yield _at_exit(
        context,
        Hook(node, device, Direction.INGRESS, FROM_NETDEV),
        "translates replies back",
        Defect.HOST_ANSWERS_LOST,
    )


def _at_exit(context: CheckContext, hook: Hook, task: str, without_it: Defect) -> Fault:
    chain = programs(context.reader, hook)
    if isinstance(chain, Unavailable):
        return chain
    if _has_own(chain, hook):
        return not_held(context, hook, chain)
    message = f"{hook.program}, which {task}, is not attached to {hook.device} on {hook.node}"
    return Contradiction(Reason.PROGRAM_MISSING, message, (without_it,), (hook.attached,))


def _fault(context: CheckContext, hook: Hook) -> Fault:
    attached = context.reader.read(hook.attached, bpftool.parse_attached)
    if isinstance(attached, Unavailable):
        return None  # nodes without these programs are healthy, too
    chain = [one for one in attached if one.direction is hook.direction]
    missing = None
    if context.outcome.met is not False and not _has_own(chain, hook):  # a failure has another cause
        missing = _detached(context, hook, attached)
    return missing or not_held(context, hook, chain) or other_xdp_program(context, hook, chain)


def _has_own(chain: Sequence[Attachment], hook: Hook) -> bool:
    return any(bpftool.is_program(one.program, hook.program) for one in chain)


def _detached(context: CheckContext, hook: Hook, attached: tuple[Attachment, ...]) -> Contradiction | None:
    """A program with a pinned link that is not in the device's chain. Without a link (always with tc), or if it can't
    be read, no fault is reported.
    """
    link = context.reader.read(hook.link(), bpftool.parse_link)
    if not isinstance(link, PinnedLink):
        return None
    # the answer about the link may be from before it was detached
    if link.ifindex != 0 and not _lists_tcx(context, hook.node, attached):
        return None
    message = f"{hook.program} is not attached to {hook.device} on {hook.node}: the agent's link is detached"
    return Contradiction(Reason.PROGRAM_MISSING, message, rests_on=(hook.attached, hook.link()))


def _lists_tcx(context: CheckContext, node: str, attached: tuple[Attachment, ...]) -> bool:
    """Whether bpftool on the node lists tcx programs: on this device, or on one that always has some."""
    own = context.reader.read(bpftool.attached(node, CILIUM_HOST), bpftool.parse_attached)
    known = attached if isinstance(own, Unavailable) else (*attached, *own)
    return any(one.attach is AttachKind.TCX for one in known)
