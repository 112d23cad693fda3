"""Ready endpoints that can't be right: an address that nothing has, or that belongs to another pod.

In: a context. Out: a contradiction of objects, which no fact has to confirm. Called by the checks of `service-lookup`
and `name-resolution`.
"""

from ...api.reasons import Reason
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.hop_check import Contradiction


def wrongly_listed(context: CheckContext, *, only_chosen: bool = False) -> Contradiction | None:
    """The first such endpoint. It harms this request only if the request went there. `only_chosen`: none otherwise."""
    chosen = context.connection.chosen
    if chosen and chosen.wrongly_listed:
        return Contradiction(Reason.ENDPOINT_SLICE_STALE, chosen.wrongly_listed, (Defect.OTHER_BACKEND,))
    if only_chosen:
        return None
    wrong = next((b.wrongly_listed for b in context.plan.backends if b.wrongly_listed), None)
    return Contradiction(Reason.ENDPOINT_SLICE_STALE, wrong) if wrong else None
