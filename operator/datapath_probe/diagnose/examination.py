"""One pass over a run: its context, the findings of its checks, and the facts that they still need.

In: a run, and the records that earlier passes parsed. Out: `VerdictInput`, and missing facts. Called by the engine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from ..api.reasons import Reason
from ..api.vocabulary import HopName, HopVerdict
from ..evidence.fact import Fact
from ..evidence.internal_error import internal_error
from ..plan.other_backends import Looks, OtherBackend
from ..plan.path import ExpectedHop, expected_path
from ..plan.plan import Backend
from .connection.backend_selection import MAX_CANDIDATES
from .connection.progress import Progress
from .context import CheckContext
from .context_builder import ContextBuilder
from .datapath.map_headroom import want_pressures, with_headroom
from .datapath.map_pinning import check_map_in_use, reloading
from .finding.evidence_reader import EvidenceReader
from .finding.finding import Finding
from .finding.finding_cache import FindingCache, KnownFindings
from .finding.hop_check import LIVE, ConfirmationPolicy
from .other_paths import (
    OF_BACKENDS,
    OtherPath,
    doubts,
    fault_of,
    is_right,
    is_suspect,
    other_path,
    with_latent_faults,
)
from .run.run import PathRun
from .verdict.agent_config_drift import config_drift, unsupported_on_path, want_agents
from .verdict.data_transfer import transfer_hops
from .verdict.event_evidence import attach_events, hints, lost_events
from .verdict.exit_loss import exit_loss
from .verdict.loss_counters import wire_loss
from .verdict.root_cause import with_shared_cause
from .verdict.transitions import in_transition
from .verdict.verdict_input import VerdictInput


@dataclass(frozen=True, slots=True)
class Examination:
    """A run in its context, with the builder of further contexts."""

    context: CheckContext
    builder: ContextBuilder
    cache: KnownFindings

    @classmethod
    def of(
        cls, run: PathRun, cache: KnownFindings | None = None, confirmation: ConfirmationPolicy = LIVE
    ) -> Self:
        """The examination of a run. `cache`: the findings of earlier examinations of this run."""
        cache = KnownFindings() if cache is None else cache
        builder = ContextBuilder(run, EvidenceReader(run.evidence), confirmation)
        return cls(builder.build(), builder, cache)

    @property
    def run(self) -> PathRun:
        """The run that this examines."""
        return self.context.run

    def facts(self) -> list[Fact]:
        """The facts that have no reading yet, in order. While the selected backend is not known, these are the facts of
        every candidate.
        """
        contexts = [self.builder.build(backend) for backend in self._candidates()]
        if self.run.request.reading is not None or not contexts:
            contexts.insert(0, self.context)
        for context in contexts:
            self._checked(context, context.path.hops)
        self._other_faults()
        reader = self.context.reader
        reader.begin_lookups()
        for context in contexts:
            want_agents(context)
            want_pressures(context)
        self.cache.besides.update(fact for fact, _ in reader.end_lookups().readings)
        return list(reader.missing)

    def verdict_input(self) -> VerdictInput:
        """Everything that the verdict depends on: the findings, and what else is known about the run."""
        context, progress = self.context, self._progress()
        findings = attach_events(context, self.findings(context), progress)
        findings = with_shared_cause(findings, self._candidate_findings)
        unsupported = unsupported_on_path(context)
        change = in_transition(self.run, context.connection.chosen, _not_ok(findings))
        if unsupported is None:  # otherwise checks and settings can't prove a change
            change = change or self._change_by_evidence(findings, progress)
        latent = self._other_faults() if context.outcome.met and not (change or unsupported) else []
        findings = with_latent_faults(context, findings, latent)
        return VerdictInput(
            findings=tuple(findings),
            outcome=context.outcome,
            progress=progress,
            change=change,
            unsupported=unsupported,
            wire_loss=wire_loss(context, progress) or exit_loss(context, progress, findings),
            hints=tuple(hints(context)),
            last_planned_hop=self._last_planned_hop(),
            lost_events=tuple(lost_events(context)),
            doubts=tuple(doubts(latent)),
            candidates=tuple(
                (backend, tuple(self.findings(self.builder.build(backend)))) for backend in self._candidates()
            ),
        )

    def looks(self) -> Looks:
        """What this run found of the backends that it judged, the one that the request used among them."""
        if self.run.plan.expect.denied:
            return Looks()  # their paths end where the request should be denied
        suspect, right = self._looks_of_request()
        for path, findings in self._other_findings():
            if fault_of(findings, of_dns=path.other.of_dns):
                suspect.add(path.other)
            elif is_right(findings):
                right.add(path.other)
        suspect |= set(self._failed_name_servers()) - right
        return Looks(frozenset(suspect), frozenset(right) - suspect)

    def _looks_of_request(self) -> tuple[set[OtherBackend], set[OtherBackend]]:
        """The suspect and the right ones among the backends that the request used or may have used."""
        context = self.context
        used = [(context.backend, context)] if context.backend else []
        used += [(backend, self.builder.build(backend)) for backend in self._candidates()]
        suspect: set[OtherBackend] = set()
        right: set[OtherBackend] = set()
        for backend, on_path in used:
            findings = [f for f in self.findings(on_path) if f.hop in OF_BACKENDS]
            other = OtherBackend(backend.ip, backend.port, of_dns=False)
            if context.outcome.met is not True or is_suspect(findings):
                suspect.add(other)
            elif context.backend or is_right(findings):
                right.add(other)
        return suspect, right

    def _failed_name_servers(self) -> Iterator[OtherBackend]:
        """The name servers that a name resolution with a fault may have used: all of them."""
        nameserver = self.run.plan.nameserver
        resolved = [f for f in self.findings(self.context) if f.hop is HopName.NAME_RESOLUTION]
        if nameserver and is_suspect(resolved):
            yield from (OtherBackend(b.ip, b.port, of_dns=True) for b in nameserver.backends)

    def _other_faults(self) -> list[tuple[OtherPath, Finding]]:
        """The first fault on the path to each backend that the request did not use."""
        faults = (
            (path, fault_of(findings, of_dns=path.other.of_dns)) for path, findings in self._other_findings()
        )
        return [(path, fault) for path, fault in faults if fault]

    def _other_findings(self) -> Iterator[tuple[OtherPath, Sequence[Finding]]]:
        """The findings of the path to each backend that the request did not use."""
        for other in self.run.others:
            path = other_path(self.builder, other)
            if path and (path.backend != self.context.backend or other.of_dns):
                yield path, self.findings(path.context, path.hops)

    def findings(self, context: CheckContext, hops: Sequence[ExpectedHop] | None = None) -> list[Finding]:
        """The findings of these hops of the path, in path order. `hops`: None for all, also judged by how full their
        maps are.
        """
        if hops is not None:
            return self._checked(context, hops)
        hops = context.path.hops
        checked = zip(hops, self._checked(context, hops), strict=True)
        return [
            _total(partial(with_headroom, context, hop, finding), context, hop) for hop, finding in checked
        ]

    def _checked(self, context: CheckContext, hops: Sequence[ExpectedHop]) -> list[Finding]:
        """The findings of the checks of these hops, those of earlier examinations if nothing has changed."""
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
        return [
            known.get(hop.name, partial(_total, partial(_check, context, hop), context, hop)) for hop in hops
        ]

    def _progress(self) -> Progress:
        progress = self.context.connection.progress(self.context.translates)
        return replace(progress, transfer=transfer_hops(self.context))

    def _candidates(self) -> Sequence[Backend]:
        """The backends that may have been selected, while the selected one is not known."""
        return () if self.context.backend else self.run.plan.backends[:MAX_CANDIDATES]

    def _candidate_findings(self) -> Iterator[Finding]:
        for backend in self._candidates():
            yield from self.findings(self.builder.build(backend))

    def _change_by_evidence(self, findings: Sequence[Finding], progress: Progress) -> str | None:
        """What the evidence itself shows to be changing."""
        changing = reloading(findings) or config_drift(self.context)
        if changing or self.context.outcome.met is not False:
            return changing
        return self._fixed_during_run(findings, progress)

    def _fixed_during_run(self, findings: Sequence[Finding], progress: Progress) -> str | None:
        """A hop that explains the failure by its first readings and is Ok by its second: the request may have met the
        hop as it was before, so it proves nothing about the path as it is now.
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
        """The last hop of the path to a planned backend, if the selected backend is not known."""
        context = self.context
        backends = context.plan.backends
        if context.backend in backends or not backends:
            return None
        return expected_path(context.plan, backends[0]).hops[-1].name


def _check(context: CheckContext, hop: ExpectedHop) -> Finding:
    return check_map_in_use(context, context.check(hop))


def _total(judge: Callable[[], Finding], context: CheckContext, hop: ExpectedHop) -> Finding:
    """What `judge` finds of the hop. An exception makes this hop Unknown, and no other."""
    try:
        return judge()
    except Exception as error:
        return context.hop(hop, "").unknown(internal_error("the check of this hop", error))


def _not_ok(findings: Sequence[Finding]) -> set[HopName]:
    return {finding.hop for finding in findings if finding.verdict is not HopVerdict.OK}
