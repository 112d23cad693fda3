"""Which collector the operator uses, and what it needs for node agents. Options of `cluster`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Collector(StrEnum):
    """Who answers and sends. AUTO: the node agent where one is ready, otherwise commands in containers."""

    AUTO = "auto"
    NODES = "nodes"
    EXEC = "exec"


@dataclass(frozen=True, slots=True)
class Collection:
    """`node_namespace`: that of the node agents and their certificates. `certificates`: a directory with the
    certificate that the operator presents; None to let it issue one.
    """

    collector: Collector = Collector.EXEC
    node_namespace: str = "datapath-probe-nodes"
    certificates: Path | None = None

    @property
    def uses_nodes(self) -> bool:
        """Whether node agents are asked."""
        return self.collector is not Collector.EXEC

    @property
    def uses_exec(self) -> bool:
        """Whether commands are run in containers."""
        return self.collector is not Collector.NODES


BY_EXEC = Collection()
