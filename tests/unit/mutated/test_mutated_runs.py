"""Whatever agents, nodes and the source container print, a run ends with a verdict that the API server accepts, and an
answer about one hop never names another.

`make mutated` tries many more examples.
"""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.api.bounds import SIZE_LIMIT_BYTES
from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.finding_cache import KnownFindings
from datapath_probe.diagnose.finding.hop_check import LIVE, SNAPSHOT, ConfirmationPolicy
from datapath_probe.diagnose.verdict.rules import RULES
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from datapath_probe.sources.agent import map_pressure
from datapath_probe.tools.commands import command_of
from unit.api.crd_schema import assert_accepted
from unit.mutated.mutations import MAX_EXAMPLES, Mutated, mutated_run, mutated_runs
from unit.publish.samples import NOW, probe, record
from unit.recorded import names

# What the packets of the connection left behind; the checks of all hops may refer to it.
TRACES = frozenset(
    {
        *(
            FactKind.CONNTRACK_ENTRY,
            FactKind.UPTIME,
            FactKind.FLOWS,
            FactKind.ICMP_FLOWS,
            FactKind.NEWEST_FLOW,
        ),
        *(FactKind.MONITOR_DROPS, FactKind.MONITOR_TRACES),
    }
)
HEALTHY = [name for name in names() if name.rpartition("/")[2].startswith("healthy")]
confirmations = st.sampled_from((LIVE, SNAPSHOT))
# The request succeeded, and only what is asked of nodes differs.
healthy_runs = st.builds(
    lambda seed, name: mutated_run(seed, name, of_client=False),
    st.integers(0, 2**32 - 1),
    st.sampled_from(HEALTHY),
)


@settings(max_examples=3 * MAX_EXAMPLES)
@given(mutated_runs, confirmations)
def test_any_evidence_gives_a_verdict(mutated: Mutated, confirmation: ConfirmationPolicy) -> None:
    diagnosis = diagnose(mutated.run, confirmation=confirmation)
    assert diagnosis.verdict in ProbeVerdict
    assert diagnosis.rule in {rule.__name__ for rule in RULES}
    reasons = {diagnosis.reason, *(finding.reason for finding in diagnosis.findings)}
    assert Reason.INTERNAL_ERROR not in reasons, [finding.message for finding in diagnosis.findings]
    if diagnosis.verdict is ProbeVerdict.HEALTHY:
        verdicts = {finding.verdict for finding in diagnosis.findings}
        assert not verdicts & {HopVerdict.BROKEN, HopVerdict.STALE}


@given(mutated_runs)
def test_every_fact_that_is_asked_for_can_be_collected(mutated: Mutated) -> None:
    for fact in facts_of(mutated.run):
        assert command_of(fact).argv


@given(mutated_runs)
def test_the_status_is_accepted_by_the_api_server(mutated: Mutated) -> None:
    outcome = record(diagnose(mutated.run), NOW)
    status = statuses.after_run(ProbeStatus(), probe(), outcome, NextRun(NOW + 60)).to_object()
    assert_accepted(status)
    assert len(json.dumps(status)) <= SIZE_LIMIT_BYTES


@given(healthy_runs, confirmations)
def test_a_request_that_succeeded_is_never_broken(mutated: Mutated, confirmation: ConfirmationPolicy) -> None:
    diagnosis = diagnose(mutated.run, confirmation=confirmation)
    assert diagnosis.verdict is not ProbeVerdict.BROKEN, diagnosis.message
    assert diagnosis.met is not False


@given(healthy_runs)
def test_an_answer_about_one_hop_names_no_other(mutated: Mutated) -> None:
    """A hop is named for what its own check read, for how full the maps of its node are, or for the traces of the
    connection.
    """
    cache = KnownFindings()
    diagnosis = diagnose(mutated.run, cache, SNAPSHOT)
    named = diagnosis.divergence
    if named:
        traces = {fact for fact in mutated.facts if fact.kind in TRACES}
        read = {*_read_for(named.hop, cache), map_pressure.fact(named.node)}
        assert traces | (read & mutated.facts), named


def _read_for(hop: HopName, cache: KnownFindings) -> frozenset[Fact]:
    """The facts that the checks of this hop read."""
    return frozenset(
        fact
        for (_, checked), (_, lookups) in cache.findings.items()
        if checked is hop
        for fact, _ in lookups.readings
    )
