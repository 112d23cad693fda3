"""Queries of the failure model. Called by checks and by the rules of the verdict."""

from collections.abc import Collection

from ...api.reasons import Reason
from ...api.vocabulary import HOP_ORDER, HopName
from .effect import Defect, Effect
from .stage import Stage
from .table import MODEL

_DELAYED = {
    Defect.LOST: Defect.LATE,
    Defect.LOST_INTO_POD: Defect.LATE_INTO_POD,
    Defect.LOST_OUT_OF_POD: Defect.LATE_OUT_OF_POD,
}


def _hops_at(*stages: Stage) -> frozenset[HopName]:
    found = set[HopName]()
    for hop, effects in MODEL.items():
        if any(stage in effect.stages for effect in effects.values() for stage in stages):
            found.add(hop)
    return frozenset(found)


REQUEST_HOPS = _hops_at(Stage.SENT) | {HopName.SOURCE_INTERFACE, HopName.SOURCE_PROGRAM}
"""The hops of requests."""

DESTINATION_HOPS = _hops_at(Stage.RECEIVED) - REQUEST_HOPS
"""The hops at the destination itself."""

REPLY_HOPS = _hops_at(Stage.ANSWERED, Stage.REPLIED)
"""The hops of replies."""

HOPS_BY_STAGE = {
    **{stage: _hops_at(stage) for stage in Stage},
    # If no backend is selected on the path, there is no TRANSLATED: its lookups follow NOTHING.
    Stage.NOTHING: _hops_at(Stage.NOTHING, Stage.TRANSLATED),
    # Data can be lost at every hop that packets of a connection traverse.
    Stage.CONNECTED: REQUEST_HOPS | DESTINATION_HOPS | REPLY_HOPS,
}
"""The hops where packets can be lost whose last trace is of this stage."""


def effects_of(hop: HopName, defects: Collection[Defect]) -> tuple[Effect, ...]:
    """The effects of these defects of the hop. Raises KeyError for a defect that the hop can't have."""
    return tuple(MODEL[hop][defect] for defect in defects)


def stages_of(hop: HopName, defects: Collection[Defect]) -> frozenset[Stage]:
    """Every stage where packets that meet one of these defects may leave their last trace."""
    return frozenset[Stage]().union(*(effect.predicts for effect in effects_of(hop, defects)))


def has(hop: HopName, defect: Defect) -> bool:
    """Whether the hop can have this defect."""
    return defect in MODEL[hop]


def delayed(defect: Defect) -> Defect:
    """The defect that delays or damages packets, for the one that loses them."""
    return _DELAYED[defect]


def possible_causes_of(reason: Reason) -> frozenset[HopName]:
    """The hops whose defects may show as this reason at another hop."""
    return _CAUSES.get(reason, frozenset())


def is_met_before(hop: HopName, effect: Effect, other: HopName) -> bool:
    """Whether packets meet the defect of a hop before they reach the other hop."""
    if effect.met_at:
        return HOP_ORDER[effect.met_at] <= HOP_ORDER[other]
    return HOP_ORDER[hop] < HOP_ORDER[other]


def _causes() -> dict[Reason, frozenset[HopName]]:
    found: dict[Reason, set[HopName]] = {}
    for hop, effects in MODEL.items():
        for effect in effects.values():
            for reason in effect.symptoms:
                found.setdefault(reason, set()).add(hop)
    return {reason: frozenset(hops) for reason, hops in found.items()}


_CAUSES = _causes()
