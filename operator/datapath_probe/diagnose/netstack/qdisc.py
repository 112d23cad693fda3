"""A queue of a device that loses, delays or damages packets."""

from ...api.reasons import Reason
from ...evidence.question import Question
from ...evidence.reading import Unavailable
from ...sources.iproute2 import qdisc
from ..context import Case
from ..finding.faults import Suspect, unheard
from ..finding.finding import Rung
from ..finding.hop_check import Contradiction
from .mtu import BY_SIZE

# Shares: of a request's timeout by which a packet is delayed, of packets that are damaged.
_TOO_LATE, _DAMAGED = 0.5, 0.05


def queue_loses(
    case: Case, node: str, device: str, predicts: frozenset[Rung], question: Question | None = None
) -> Suspect:
    """A queue of the device that loses packets, or with which a request came late."""
    if not case.troubled:
        return None
    question = question or qdisc.losing(node)
    losing = case.lens.read(question, qdisc.parse_losing)
    if isinstance(losing, Unavailable):
        return unheard(losing) if case.outcome.met is False else None
    if device not in losing:
        return None
    queue = losing[device]
    message = f"the queueing discipline of {device} on {node} is {queue.told}"
    late = queue.delay_s is not None and queue.delay_s >= case.plan.request.timeout_s * _TOO_LATE
    if case.outcome.met:
        predicts = frozenset()
    elif late or queue.damaged >= _DAMAGED:  # what comes late or damaged may be seen further on
        predicts |= {rung for rung in Rung if min(predicts) <= rung <= Rung.CONNECTED}
    elif not queue.loses:
        return Unavailable(Reason.NOT_OBSERVED, message) if queue.delay_s is None else None
    return Contradiction(Reason.QUEUE_LOSES, message, predicts | BY_SIZE, (question,))
