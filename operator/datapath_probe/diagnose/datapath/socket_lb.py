"""Whether the program for socket load-balancing is attached on a node, if the node uses it.

In: a context. Out: a missing program. Read only after a failure; called by the check of `service-translation`.
"""

from ...addresses import IpFamily
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.bpf import socket_lb
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction


def socket_lb_detached(context: CheckContext, node: str) -> Fault:
    """`cil_sock4_connect` is not attached: no connection of a pod is translated, including those to a name server."""
    served = context.config.socket_lb and context.plan.family is IpFamily.IPV4
    if context.outcome.met is not False or not served:
        return None
    of_link, of_program = socket_lb.link(node), socket_lb.program(node)
    attached = context.reader.read(of_link, socket_lb.parse_link)
    rests_on: tuple[Fact, ...] = (of_link,)
    if isinstance(attached, Absent):  # an agent that was upgraded may keep its program without a pinned link
        attached = context.reader.read(of_program, socket_lb.parse_program)
        rests_on = (of_link, of_program)
    if isinstance(attached, Unavailable):
        return if_expected(attached)
    if attached:
        return None
    message = f"{socket_lb.PROGRAM} is not attached to the cgroup of {node}: sockets connect to untranslated addresses"
    return Contradiction(Reason.PROGRAM_MISSING, message, (Defect.NOT_TRANSLATED,), rests_on)
