"""Cilium's programs at `cilium_host`, through which packets pass between a node's own stack and its pods or the tunnel:
if an end of the path is in the host's network.

In: a context and a node. Out: a missing program, or one that the agent does not hold. Called by the checks of the
tunnel device, of the destination's program, and of the delivery of replies.
Source: Cilium 1.18 `bpf/bpf_host.c` (`cil_from_host`, `cil_to_host`), `bpf/bpf_overlay.c` (`ipv4_host_delivery`).
"""

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.reading import Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2.links import CILIUM_HOST
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction
from ..lookup.attached_programs import Hook, programs
from ..netstack.foreign_programs import foreign_program_first
from .held_programs import not_held

FROM_HOST, TO_HOST = "cil_from_host", "cil_to_host"


def fault_from_host(context: CheckContext, node: str) -> Fault:
    """`cil_from_host`, which takes packets of the node's stack to its pods and into the tunnel."""
    hook = Hook(node, CILIUM_HOST, Direction.EGRESS, FROM_HOST)
    chain = _programs(context, hook)
    if isinstance(chain, Unavailable):
        return if_expected(chain)
    if any(bpftool.is_program(one.program, FROM_HOST) for one in chain):
        return not_held(context, hook, chain) or foreign_program_first(context, node, FROM_HOST, chain)
    message = f"{FROM_HOST} is not attached to {CILIUM_HOST} on {node}"
    return Contradiction(Reason.PROGRAM_MISSING, message, (Defect.BYPASSED,), (hook.attached,))


def fault_to_host(context: CheckContext, node: str) -> Fault:
    """`cil_to_host`, which packets from the tunnel to the node itself pass. Without it they arrive, too."""
    if context.path.encapsulation is Encapsulation.NONE:
        return None
    hook = Hook(node, CILIUM_HOST, Direction.INGRESS, TO_HOST)
    chain = _programs(context, hook)
    return if_expected(chain) if isinstance(chain, Unavailable) else not_held(context, hook, chain)


def delivers_from_host(context: CheckContext) -> bool:
    """Whether packets to a pod of this path come from its node's own stack, because the other end is a host. Those
    from another node must come without a tunnel.
    """
    to_host = context.backend is not None and context.backend.host is not None
    if not (to_host or context.source.pod.host_network) or context.config.routes_to_endpoints:
        return False
    plain = context.path.encapsulation is Encapsulation.NONE and not context.config.bpf_host_routing
    return plain or not context.path.cross_node


def _programs(context: CheckContext, hook: Hook) -> tuple[bpftool.Attachment, ...] | Unavailable:
    context.reader.want(hook.link())  # needed by `not_held`: collect it in the same round
    return programs(context.reader, hook)
