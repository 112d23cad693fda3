"""Selects facts for tests: by kind, by tool, or by the map of an entry."""

from collections.abc import Callable

from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.sources.maps.map_keys import MAP_KEYS, map_of


def of_kind(*kinds: FactKind) -> Callable[[Fact], bool]:
    """Facts of one of these kinds."""
    return lambda fact: fact.kind in kinds


def tool_of(fact: Fact) -> str:
    """The tool that delivers the fact."""
    return delivery(fact).tool


def entry_of(fact: Fact) -> str:
    """The name of the map of an entry; "" for other facts."""
    return map_of(fact) if fact.kind in MAP_KEYS else ""
