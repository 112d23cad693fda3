"""By what a run knows the cluster and reaches into it."""

from collections.abc import Callable
from dataclasses import dataclass

from ..collect.interfaces import AgentContainers, SourceContainers
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.objects import Inventory


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """`agents`: None where packets can't be captured. `clock`: seconds since the epoch. `windows`: for how long changes
    of the cluster count.
    """

    inventory: Inventory
    containers: SourceContainers
    agents: AgentContainers | None
    clock: Callable[[], float]
    windows: Windows = DEFAULT
