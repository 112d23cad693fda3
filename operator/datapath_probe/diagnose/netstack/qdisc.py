"""A queueing discipline that drops, delays or damages packets."""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...sources.iproute2 import qdisc
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..failure_model.model import delayed
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

# Thresholds: a delay as a share of the request's timeout; the share of damaged packets.
_TOO_LATE, _DAMAGED = 0.5, 0.05


def qdisc_drops(
    context: CheckContext,
    node: str,
    device: str,
    defect: Defect = Defect.LOST,
    fact: Fact | None = None,
) -> Fault:
    """A queueing discipline of the device that drops packets, or that delayed a request."""
    if not context.needs_loss_search:
        return None
    fact = fact or qdisc.losing(node)
    losing = context.reader.read(fact, qdisc.parse_losing)
    if isinstance(losing, Unavailable):
        return if_expected(losing) if context.outcome.met is False else None
    if device not in losing:
        return None
    queue = losing[device]
    message = f"the queueing discipline of {device} on {node} is {queue.description}"
    late = queue.delay_s is not None and queue.delay_s >= context.plan.request.timeout_s * _TOO_LATE
    if context.outcome.met:
        defects: tuple[Defect, ...] = ()
    elif late or queue.damaged >= _DAMAGED:
        defects = (delayed(defect),)
    elif queue.loses:
        defects = (defect,)
    else:
        return Unavailable(Reason.NOT_OBSERVED, message) if queue.delay_s is None else None
    return Contradiction(Reason.QDISC_DROPS, message, (*defects, Defect.DATA_LOST), (fact,))
