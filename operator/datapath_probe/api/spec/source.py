"""Where requests of a probe come from. Part of the spec."""

from enum import StrEnum
from typing import ClassVar

from ..model import ApiModel, Rule
from ..vocabulary import WorkloadKind
from .label_selector import LabelSelector
from .scalars import Label, PodName, WorkloadName


class Client(StrEnum):
    """Where curl runs."""

    AUTO = "Auto"
    CONTAINER = "Container"
    NODE = "Node"


class Select(StrEnum):
    """Which of several ready pods send requests."""

    ONE = "One"
    ONE_PER_NODE = "OnePerNode"
    ALL = "All"


class SourceWorkload(ApiModel):
    """A workload whose pods send requests."""

    kind: WorkloadKind
    """Kind of the workload."""

    name: WorkloadName
    """Name of the workload."""


class Source(ApiModel):
    """The pods that send requests, in the namespace of the probe: exactly one of pod, workload and selector."""

    rules: ClassVar = (
        Rule(
            "[has(self.pod), has(self.workload), has(self.selector)].filter(given, given).size() == 1",
            "must specify exactly one of pod, workload and selector",
            lambda source: [source.pod, source.workload, source.selector].count(None) == 2,
        ),
        Rule(
            "!has(self.select) || !has(self.pod)",
            "select chooses among the pods of a workload or a selector: leave it out, or replace pod by one of them",
            lambda source: source.select is None or source.pod is None,
        ),
    )

    pod: PodName | None = None
    """Name of the pod that sends the request."""

    workload: SourceWorkload | None = None
    """A workload whose ready pods send requests, also after a rollout."""

    selector: LabelSelector | None = None
    """Labels of the pods that send requests. Pods that are not ready are not used."""

    select: Select | None = None
    """Which ready pods of the workload or the selector send requests. One: the same pod in every run while it is ready.
    OnePerNode: one pod of each node, likewise. All: all of them. Default: One."""

    container: Label | None = None
    """Container of the pod in which curl runs. Default: the container that the pod's annotation
    kubectl.kubernetes.io/default-container names, otherwise the first container."""

    client: Client = Client.AUTO
    """Where curl runs. Container: in the container itself, which requires curl 7.70 or later, with TLS for HTTPS. Node:
    in the pod's network namespace, by the node agent of its node, which requires nothing of the pod's image. Auto: Node
    where a node agent serves the pod's node, otherwise Container."""
