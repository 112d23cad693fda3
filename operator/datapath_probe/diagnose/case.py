"""The case that checks work on: a run seen through a lens, with its path and what its packets left in conntrack."""

from dataclasses import dataclass

from ..cilium import layout
from ..cilium.agent_config import AgentConfig
from ..cilium.curl import CurlReport
from ..cilium.layout import Layout
from ..evidence.reading import Unavailable
from ..plan.path import ExpectedHop, ExpectedPath
from ..plan.plan import Backend, Plan, PodFacts
from .connection import Connection
from .judge import Hop
from .lens import Lens
from .outcome import Outcome
from .run import Run


@dataclass(frozen=True, slots=True)
class Case:
    """`report` is None while the request is under way; `connection` is then empty."""

    run: Run
    lens: Lens
    path: ExpectedPath
    backend: Backend | None
    report: CurlReport | Unavailable | None
    outcome: Outcome
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

    @property
    def address(self) -> str:
        """The address that the datapath delivers to: the backend's, "" while it is not known."""
        return self.backend.ip if self.backend else ""

    def hop(self, expected: ExpectedHop, object_: str) -> Hop:
        """A hop to be judged."""
        return Hop(expected, object_, self.lens, self.run.second_look)

    def layout(self, node: str) -> Layout | Unavailable:
        """Which maps that node's Cilium has."""
        return self.lens.read(layout.version(node), layout.parse)
