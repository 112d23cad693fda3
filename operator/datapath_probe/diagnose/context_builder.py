"""A run → the context that its checks work on. Called by the engine, for the run and for each candidate backend."""

from dataclasses import dataclass

from ..evidence.reading import Unavailable
from ..plan.path import ExpectedPath, expected_path
from ..plan.plan import Backend
from ..sources import curl
from ..sources.client_report import ClientReport
from .checks.registry import REGISTRY
from .connection.backend_selection import only_backend
from .connection.connection import Connection
from .connection.conntrack_lookup import trace
from .connection.flow_events import observe
from .connection.outcome import Outcome, judge_outcome
from .context import CheckContext
from .finding.evidence_reader import EvidenceReader
from .finding.hop_check import ConfirmationPolicy
from .run.run import PathRun
from .verdict.loss_counters import count


@dataclass(frozen=True, slots=True)
class ContextBuilder:
    """Steps that need each other in this order: what curl reports, which backend that means and what its packets left
    behind, the path to that backend, and whether the expectation was met on it.
    """

    run: PathRun
    reader: EvidenceReader
    confirmation: ConfirmationPolicy

    def build(self, candidate: Backend | None = None) -> CheckContext:
        """The context as far as it is known; `candidate`: as if this backend had been chosen, and the request under
        way.
        """
        report = None if candidate else self._report()
        connection = self._connection(report, candidate)
        path = expected_path(self.run.plan, connection.chosen)
        if self.run.hanging:
            self._watch(path)
        outcome = self._outcome(report, path, connection)
        if outcome.denied_at:
            path = path.until(outcome.denied_at)
        return CheckContext(
            run=self.run,
            reader=self.reader,
            path=path,
            backend=connection.chosen,
            report=report,
            outcome=outcome,
            connection=connection,
            registry=REGISTRY,
            confirmation=self.confirmation,
        )

    def _report(self) -> ClientReport | Unavailable | None:
        """What curl reports; None while the request is under way."""
        reading = self.run.request.reading
        return None if reading is None else curl.parse_report(reading)

    def _connection(self, report: ClientReport | Unavailable | None, candidate: Backend | None) -> Connection:
        """What the request's packets left behind; nothing yet while it is under way."""
        if report is None:
            return Connection(chosen=candidate or only_backend(self.run.plan))
        config = expected_path(self.run.plan, None).config
        return trace(self.run, report if isinstance(report, ClientReport) else None, self.reader, config)

    def _watch(self, path: ExpectedPath) -> None:
        """A request that hangs is watched: events that are not kept, and counters to compare with later."""
        observe(self.reader, self.run, None, path.destination_node)
        count(self.reader, path)

    def _outcome(
        self, report: ClientReport | Unavailable | None, path: ExpectedPath, connection: Connection
    ) -> Outcome:
        return judge_outcome(self.run.plan, report, self.run.request.local_port, path, connection)
