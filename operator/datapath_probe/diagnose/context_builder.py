"""A run → the context of its checks. Called by `examination`, for the run and for each candidate backend."""

from dataclasses import dataclass

from ..evidence.reading import Unavailable
from ..plan.path import ExpectedPath, expected_path
from ..plan.plan import Backend
from ..sources.client_report import ClientReport
from ..sources.curl.report import parse_report
from .checks.registry import REGISTRY
from .connection.backend_selection import only_backend
from .connection.connection import Connection
from .connection.conntrack_lookup import look_up_connection
from .connection.flow_events import observe
from .connection.outcome import Outcome, judge_outcome
from .context import CheckContext
from .finding.evidence_reader import EvidenceReader
from .finding.hop_check import ConfirmationPolicy
from .run.run import PathRun
from .verdict.loss_counters import read_counters


@dataclass(frozen=True, slots=True)
class ContextBuilder:
    """Builds contexts. Each step needs the one before it: curl's report, the selected backend with the traces of its
    packets, the path to that backend, and whether the expectation was met on it.
    """

    run: PathRun
    reader: EvidenceReader
    confirmation: ConfirmationPolicy

    def build(self, candidate: Backend | None = None) -> CheckContext:
        """The context as far as it is known. With a `candidate`: as if this backend were selected and the request still
        in flight.
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
        """curl's report; None while the request is in flight."""
        reading = self.run.request.reading
        request = self.run.plan.request
        return None if reading is None else parse_report(reading, request.timeout_s, request.protocol)

    def _connection(self, report: ClientReport | Unavailable | None, candidate: Backend | None) -> Connection:
        """The traces of the request's packets; empty while the request is in flight."""
        if report is None:
            return Connection(chosen=candidate or only_backend(self.run.plan))
        config = expected_path(self.run.plan, None).config
        return look_up_connection(
            self.run, report if isinstance(report, ClientReport) else None, self.reader, config
        )

    def _watch(self, path: ExpectedPath) -> None:
        """While a request hangs, collect what can't be read later: events that no ring keeps, and a first reading of
        counters.
        """
        observe(self.reader, self.run, None, path.destination_node)
        read_counters(self.reader, path)

    def _outcome(
        self, report: ClientReport | Unavailable | None, path: ExpectedPath, connection: Connection
    ) -> Outcome:
        return judge_outcome(self.run.plan, report, self.run.request, path, connection)
