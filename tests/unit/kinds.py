"""Facts as tests pick them: by their kind, their tool, or the map that they are an entry of."""

from collections.abc import Callable

from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.sources.maps.map_keys import MAP_KEYS, map_of


def of_kind(*kinds: FactKind) -> Callable[[Fact], bool]:
    """Facts of one of these kinds."""
    return lambda fact: fact.kind in kinds


def tool_of(fact: Fact) -> str:
    """Who tells it."""
    return delivery(fact).tool


def entry_of(fact: Fact) -> str:
    """The name of the map of which the fact is an entry; "" if it is none."""
    return map_of(fact) if fact.kind in MAP_KEYS else ""
