"""What a run needs from the cluster: objects, containers, the time, and its share of them. Made by `runner`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..collect.interfaces import AgentContainers, CaCertificates, Clients
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.objects import Inventory
from ..plan.restrictions import UNRESTRICTED, Restrictions
from .diagnosis_worker import DiagnosisWorker
from .limits import Limits


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """`agents`: None if packets can't be captured. `clock`: seconds since the epoch. `windows`: how long changes of the
    cluster count as in transition. `restrictions`: what probes may not request. `worker`: diagnoses large evidence.
    `cas`: None if no probe may name certificates.
    """

    inventory: Inventory
    clients: Clients
    agents: AgentContainers | None
    clock: Callable[[], float]
    windows: Windows = DEFAULT
    restrictions: Restrictions = UNRESTRICTED
    worker: DiagnosisWorker = field(default_factory=DiagnosisWorker)
    limits: Limits = field(default_factory=Limits)
    cas: CaCertificates | None = None
