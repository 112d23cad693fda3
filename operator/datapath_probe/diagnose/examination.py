"""One run as far as it is known: its context, what the checks find, and what they still ask for.

In: a run, and what earlier examinations of it have parsed. Out: `VerdictInput`, and open facts. Called by the
engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ..api.reasons import Reason
from ..api.vocabulary import HopName, HopVerdict
from ..evidence.fact import Fact
from ..plan.path import ExpectedHop, expected_path
from ..plan.plan import Backend
from .connection.backend_selection import MAX_CANDIDATES
from .connection.progress import Progress
from .context import CheckContext
from .context_builder import ContextBuilder
from .datapath.map_pinning import check_map_in_use, reloading
from .finding.evidence_reader import EvidenceReader, ParseCache
from .finding.finding import Finding
from .finding.finding_cache import FindingCache
from .finding.hop_check import LIVE, ConfirmationPolicy
from .run.run import PathRun
from .verdict.agent_config_drift import disagreement, unjudgeable, want_agents
from .verdict.data_transfer import transfer_zone
from .verdict.event_evidence import attach_events, hints, lost_events
from .verdict.loss_counters import wire_loss
from .verdict.root_cause import with_shared_cause
from .verdict.transitions import in_transition
from .verdict.verdict_input import VerdictInput


@dataclass(frozen=True, slots=True)
class Examination:
    """A run in its context, and what makes further contexts of it."""

    context: CheckContext
    builder: ContextBuilder
    cache: ParseCache

    @classmethod
    def of(
        cls, run: PathRun, cache: ParseCache | None = None, confirmation: ConfirmationPolicy = LIVE
    ) -> Self:
        """The examination of a run. `cache`: what earlier ones of the same run have parsed and found."""
        cache = ParseCache() if cache is None else cache
        builder = ContextBuilder(run, EvidenceReader(run.evidence, cache), confirmation)
        return cls(builder.build(), builder, cache)

    @property
    def run(self) -> PathRun:
        """The run that is examined."""
        return self.context.run

    def facts(self) -> list[Fact]:
        """What is asked for and was not collected yet, in order. While the chosen backend is not known, that is what
        the checks ask for of each candidate.
        """
        contexts = [self.builder.build(backend) for backend in self._candidates()]
        if self.run.request.reading is not None or not contexts:
            contexts.insert(0, self.context)
        for context in contexts:
            self.findings(context)
            want_agents(context)
        return list(self.context.reader.missing)

    def verdict_input(self) -> VerdictInput:
        """What the verdict depends on: findings, held against what else is known of the run."""
        context, progress = self.context, self._progress()
        findings = attach_events(context, self.findings(context), progress)
        findings = with_shared_cause(findings, self._candidate_findings)
        unsupported = unjudgeable(context)
        change = in_transition(self.run, context.connection.chosen, _not_ok(findings))
        if unsupported is None:  # else what checks and settings say of a change proves nothing either
            change = change or self._change_by_evidence(findings, progress)
        return VerdictInput(
            findings=tuple(findings),
            outcome=context.outcome,
            progress=progress,
            change=change,
            unsupported=unsupported,
            wire_loss=wire_loss(context, progress),
            hints=tuple(hints(context)),
            last_planned_hop=self._last_planned_hop(),
            lost_events=tuple(lost_events(context)),
        )

    def findings(self, context: CheckContext) -> list[Finding]:
        """All checks of the path, in path order."""
        run = context.run
        known = FindingCache(
            self.cache,
            context.reader,
            (
                *(run.plan, run.request.started, run.request.local_port, run.second_look, run.windows),
                *(context.path, context.backend, context.report, context.outcome, context.connection),
                context.confirmation,
            ),
        )

        def judged(hop: ExpectedHop) -> Finding:
            return known.get(hop.name, lambda: check_map_in_use(context, context.check(hop)))

        return [judged(hop) for hop in context.path.hops]

    def _progress(self) -> Progress:
        progress = self.context.connection.progress(self.context.translates)
        return replace(progress, transfer=transfer_zone(self.context))

    def _candidates(self) -> Sequence[Backend]:
        """The backends that may have been chosen, while it is not known which was."""
        return () if self.context.backend else self.run.plan.backends[:MAX_CANDIDATES]

    def _candidate_findings(self) -> Iterator[Finding]:
        for backend in self._candidates():
            yield from self.findings(self.builder.build(backend))

    def _change_by_evidence(self, findings: Sequence[Finding], progress: Progress) -> str | None:
        """What was changing, by the evidence itself."""
        changing = reloading(findings) or disagreement(self.context)
        if changing or self.context.outcome.met is not False:
            return changing
        return self._fixed_during_run(findings, progress)

    def _fixed_during_run(self, findings: Sequence[Finding], progress: Progress) -> str | None:
        """What explains the failure by the first readings and is right by the second: the request may have met the hop
        as it was before, and proves nothing of the path as it is now.
        """
        if not self.run.second_look:
            return None
        first_look = replace(self.run, evidence=self.run.evidence.first_readings(), second_look=False)
        first = Examination.of(first_look, self.cache, self.context.confirmation)
        doubted = {
            finding.hop: finding
            for finding in first.findings(first.context)
            if finding.reason is Reason.UNCONFIRMED and progress.fits(finding.predicts)
        }
        fixed = next((f for f in findings if f.verdict is HopVerdict.OK and f.hop in doubted), None)
        if fixed is None:
            return None
        return f"{fixed.hop} on {fixed.node} changed during the run; before: {doubted[fixed.hop].message}"

    def _last_planned_hop(self) -> HopName | None:
        """The last hop of the path to a backend, where the chosen one is not known and the path ends before it."""
        context = self.context
        backends = context.plan.backends
        if context.backend in backends or not backends:
            return None
        return expected_path(context.plan, backends[0]).hops[-1].name


def _not_ok(findings: Sequence[Finding]) -> set[HopName]:
    return {finding.hop for finding in findings if finding.verdict is not HopVerdict.OK}
