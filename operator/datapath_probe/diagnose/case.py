"""The case that checks work on: a run seen through a lens, with its path and what its packets left in conntrack."""

from dataclasses import dataclass

from ..cilium.agent_config import AgentConfig
from ..cilium.curl import CurlReport
from ..evidence.reading import Unavailable
from ..plan.path import ExpectedHop, ExpectedPath
from ..plan.plan import Backend, NodeFacts, Plan, PodFacts
from .connection import Connection
from .judge import Hop
from .lens import Lens
from .run import Run


@dataclass(frozen=True, slots=True)
class Case:
    """`report` is None while the request is under way; `connection` is then empty."""

    run: Run
    lens: Lens
    path: ExpectedPath
    backend: Backend | None
    report: CurlReport | Unavailable | None
    connection: Connection

    @property
    def plan(self) -> Plan:
        """The plan of the run."""
        return self.run.plan

    @property
    def config(self) -> AgentConfig:
        """Cilium's configuration as the ConfigMap has it."""
        return self.path.config

    @property
    def source(self) -> PodFacts:
        """The source pod."""
        return self.run.plan.source

    @property
    def destination(self) -> PodFacts | None:
        """The pod that answers, once it is known."""
        return self.backend.target if self.backend else None

    def hop(self, expected: ExpectedHop, object_: str) -> Hop:
        """A hop to be judged."""
        return Hop(expected, object_, self.lens, self.run.second_look)

    def node(self, name: str) -> NodeFacts | None:
        """The facts of a node of this path."""
        pods = [self.source, self.destination]
        return next((pod.node for pod in pods if pod and pod.node.name == name), None)
