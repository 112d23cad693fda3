"""A denial that is expected: which policy hop is to be named where it did not come, and in which words where it did.

Called by `policy_comparison`.
"""

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...sources.maps.policymap import TrafficDirection
from ..context import CheckContext
from ..datapath.resolved_policy import Intent, intent_of


def let_through(
    context: CheckContext, direction: TrafficDirection, intent: Intent | Unavailable, programmed: str
) -> str | Unavailable | None:
    """What this direction's policy is blamed for, if a connection was established that should be denied.

    The hop to be named is the one whose policies mean to deny; where none is known to, the last one that could have,
    and `Unavailable` where it is not known whether the one before it should.
    """
    if context.outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    if denies(intent):
        return f"the connection was established, though it is {_in_words(intent)}; the policy map says {programmed}"
    judges = {hop.name for hop in context.path.hops}
    said = [f"{direction.name.lower()}: {_in_words(intent)}"]
    if direction is TrafficDirection.EGRESS and HopName.INGRESS_POLICY in judges:
        return None
    if direction is TrafficDirection.INGRESS and HopName.EGRESS_POLICY in judges:
        egress = _egress_intent(context)
        if isinstance(egress, Unavailable):
            return egress
        if denies(egress):
            return None
        said.insert(0, f"egress: {egress.in_words}")
    return f"the connection was established, and no policy denies it ({'; '.join(said)})"


def denied_by(context: CheckContext, expected: ExpectedHop, intent: Intent | Unavailable) -> str:
    """ "denied by …": as the event names it, else as the agent means it."""
    drops = (drop for drop in context.connection.events.drops if drop.hop is expected.name and drop.is_denial)
    named = next((drop.policies for drop in drops if drop.policies), ())
    if named:
        return f"denied by {', '.join(named)}"
    return _in_words(intent) if denies(intent) else "denied"


def denies(intent: Intent | Unavailable) -> bool:
    return isinstance(intent, Intent) and not intent.decision.allowed


def _in_words(intent: Intent | Unavailable) -> str:
    return intent.in_words if isinstance(intent, Intent) else "not known"


def _egress_intent(context: CheckContext) -> Intent | Unavailable:
    """What the source's policy means, as the destination's hop sees it."""
    endpoint = context.destination.endpoint if context.destination else None
    if context.source.endpoint is None or endpoint is None or context.backend is None:
        return Unavailable(Reason.CILIUM_ENDPOINT_MISSING, "an end has no CiliumEndpoint")
    return intent_of(
        context, context.source, TrafficDirection.EGRESS, endpoint.identity, context.backend.port
    )
