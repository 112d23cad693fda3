"""Missing evidence is no proof: if any of it is missing, cut or garbled, no verdict improves."""

from collections.abc import Callable, Collection
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HOP_ORDER, HopName, HopVerdict, ProbeVerdict, Witness
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.finding.finding_cache import KnownFindings
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from unit.diagnose.altered_runs import no_conntrack_entries
from unit.kinds import of_kind, tool_of
from unit.recorded import names, recorded

Change = Callable[[Reading], Reading]


def _gone(reading: Reading) -> Reading:
    return Unavailable(EvidenceError.TIMEOUT, "no answer within 5 s", reading.at)


def _cut(reading: Reading) -> Reading:
    if isinstance(reading, Unavailable):
        return reading
    return replace(reading, stdout=reading.stdout[: len(reading.stdout) // 2], truncated=True)


def _garbled(reading: Reading) -> Reading:
    return (
        reading
        if isinstance(reading, Unavailable)
        else replace(reading, stdout=b"\x00{]" + reading.stdout[::-1])
    )


def _failed(reading: Reading) -> Reading:
    if isinstance(reading, Unavailable):
        return reading
    return replace(reading, exit_code=255, stdout=b'{"error":"Permission denied"}', stderr=b"")


CHANGES: dict[str, Change] = {"gone": _gone, "cut": _cut, "garbled": _garbled, "failed": _failed}

runs = st.sampled_from(names())
changes = st.sampled_from(sorted(CHANGES))


@st.composite
def damaged(draw: st.DrawFn) -> tuple[PathRun, PathRun, list[Fact]]:
    """A recorded run, the same with some of its evidence damaged, and which."""
    run = recorded(draw(runs))
    facts = sorted(run.evidence.readings, key=str)
    chosen = draw(st.lists(st.sampled_from(facts), min_size=1, unique=True))
    change = CHANGES[draw(changes)]
    readings = dict(run.evidence.readings)
    for fact in chosen:
        readings[fact] = tuple(map(change, readings[fact]))
    return run, replace(run, evidence=Evidence(readings)), chosen


@settings(max_examples=150)
@given(damaged())
def test_damaged_evidence_never_turns_a_fault_into_health(
    context: tuple[PathRun, PathRun, list[Fact]],
) -> None:
    whole, damaged_run, _ = context
    before, after = diagnose(whole), diagnose(damaged_run)
    if before.verdict is not ProbeVerdict.HEALTHY:
        assert after.verdict is not ProbeVerdict.HEALTHY
    on_path = {finding.hop for finding in before.findings}  # ends at the hop of an expected denial
    ok_before = {finding.hop for finding in before.findings if finding.verdict is HopVerdict.OK}
    ok_after = {finding.hop for finding in after.findings if finding.verdict is HopVerdict.OK}
    assert ok_after & on_path <= ok_before


@settings(max_examples=150)
@given(damaged())
def test_damaged_evidence_never_names_another_hop(context: tuple[PathRun, PathRun, list[Fact]]) -> None:
    whole, damaged_run, _ = context
    _assert_names_no_other_hop(diagnose(whole), diagnose(damaged_run))


def _read_by(*tools: str) -> Callable[[Fact], bool]:
    return lambda fact: tool_of(fact) in tools


LOSSES: dict[str, Callable[[Fact], bool]] = {
    "all": lambda _: True,
    "conntrack": of_kind(FactKind.CONNTRACK_ENTRY),
    "clock": of_kind(FactKind.UPTIME),
    "bpftool": _read_by("bpftool"),
    "agent": _read_by("cilium-dbg"),
    "hubble": _read_by("hubble"),
    "filters": of_kind(FactKind.IPTABLES_RULES, FactKind.NFTABLES_RULES),
    "iptables": of_kind(FactKind.IPTABLES_RULES),
    "nft": of_kind(FactKind.NFTABLES_RULES),
    "kernels": of_kind(FactKind.ROUTE),
    "attachments": of_kind(FactKind.ATTACHED_PROGRAMS),
}
PLACES: dict[str, Callable[[PathRun, Fact], bool]] = {
    "everywhere": lambda _, __: True,
    "at the source": lambda run, fact: fact.node == run.plan.source.node.name,
    "elsewhere": lambda run, fact: fact.node != run.plan.source.node.name,
}


def _without(run: PathRun, lost: Collection[Fact]) -> PathRun:
    readings = {fact: tuple(map(_gone, known)) if fact in lost else known for fact, known in run.evidence}
    return replace(run, evidence=Evidence(readings))


@pytest.mark.parametrize(
    ("name", "hop", "lost"),
    [
        ("name-resolves-to-nobody", HopName.NAME_RESOLUTION, "hubble"),
        ("kpr/name-resolves-to-nobody@1.18.5", HopName.NAME_RESOLUTION, "bpftool"),
        ("affinity-remembers-a-dead-backend", HopName.SERVICE_LOOKUP, "clock"),
        ("affinity-remembers-a-dead-backend", HopName.SERVICE_LOOKUP, "conntrack"),
        ("denial-not-enforced", HopName.INGRESS_POLICY, "agent"),
    ],
)
def test_a_fault_that_only_one_tool_shows_is_unknown_without_it(name: str, hop: HopName, lost: str) -> None:
    run = recorded(name)
    findings = diagnose(_without(run, set(filter(LOSSES[lost], run.evidence.readings)))).findings
    assert next(finding for finding in findings if finding.hop is hop).verdict is HopVerdict.UNKNOWN


@pytest.mark.parametrize("name", names())
def test_without_a_tool_the_result_contains_the_hop_of_the_whole_run(name: str) -> None:
    run, known = recorded(name), KnownFindings()
    before = diagnose(run, known)
    for what, is_lost in LOSSES.items():
        for where, is_there in PLACES.items():
            gone = {fact for fact in run.evidence.readings if is_lost(fact) and is_there(run, fact)}
            after = diagnose(_without(run, gone), known)
            _assert_names_no_other_hop(before, after, f"without {what} {where}")


@pytest.mark.parametrize("name", names())
def test_every_single_trace_that_is_lost_leaves_the_hop_of_the_whole_run(name: str) -> None:
    run, known = recorded(name), KnownFindings()
    before = diagnose(run, known)
    for trace in filter(LOSSES["conntrack"], run.evidence.readings):
        after = diagnose(_without(run, {trace}), known)
        _assert_names_no_other_hop(before, after, str(trace))


def _assert_names_no_other_hop(before: Diagnosis, after: Diagnosis, what: str = "") -> None:
    """The named hop or segment contains the one that all evidence names; a healthy run names none."""
    if before.verdict is ProbeVerdict.HEALTHY:
        assert after.verdict in (ProbeVerdict.HEALTHY, ProbeVerdict.UNKNOWN), (what, after.message)
    if after.divergence:
        assert before.divergence, (what, after.message)
        assert after.divergence.hop is before.divergence.hop, (what, after.message)
    if after.segment and (before.divergence or before.segment):
        first, last = _span(before)
        assert HOP_ORDER[after.segment.after] <= first, (what, after.message)
        assert HOP_ORDER[after.segment.before] >= last, (what, after.message)


def _span(diagnosis: Diagnosis) -> tuple[int, int]:
    if diagnosis.divergence:
        return (HOP_ORDER[diagnosis.divergence.hop],) * 2
    assert diagnosis.segment
    return HOP_ORDER[diagnosis.segment.after], HOP_ORDER[diagnosis.segment.before]


@settings(max_examples=100)
@given(damaged())
def test_a_hop_without_what_it_needs_is_not_ok(context: tuple[PathRun, PathRun, list[Fact]]) -> None:
    """Not even if the whole run was healthy: intent and programmed state must be known."""
    whole, damaged_run, _ = context
    needed = {finding.hop: _needed(finding) for finding in diagnose(whole).findings}
    for finding in diagnose(damaged_run).findings:
        if finding.verdict is HopVerdict.OK:
            assert needed.get(finding.hop, set()) <= _needed(finding), finding


def _needed(finding: Finding) -> set[Witness]:
    return finding.evidence.keys() & {Witness.INTENT, Witness.PROGRAMMED}


@settings(max_examples=100)
@given(damaged(), st.randoms(use_true_random=False))
def test_more_of_the_evidence_makes_nothing_worse(
    context: tuple[PathRun, PathRun, list[Fact]], random: Random
) -> None:
    """Some of the missing answers arrive later: Ok hops stay Ok, and a named hop stays named."""
    whole, less, lost = context
    found = random.sample(lost, random.randint(1, len(lost)))
    readings = {**less.evidence.readings, **{q: whole.evidence.readings[q] for q in found}}
    before, after = diagnose(less), diagnose(replace(less, evidence=Evidence(readings)))
    if before.verdict is ProbeVerdict.HEALTHY:
        assert after.verdict is ProbeVerdict.HEALTHY, after.message
    if before.divergence:
        assert after.divergence is not None, after.message
        assert after.divergence.hop is before.divergence.hop
    if diagnose(whole).verdict is ProbeVerdict.HEALTHY:
        ok = {finding.hop for finding in before.findings if finding.verdict is HopVerdict.OK}
        still = {finding.hop for finding in after.findings if finding.verdict is HopVerdict.OK}
        if whole.plan.expect.denied:  # the path ends at the hop of the denial
            ok &= {finding.hop for finding in after.findings}
        assert ok <= still


@settings(max_examples=60)
@given(runs, st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(name: str, random: Random) -> None:
    run = recorded(name)
    entries = list(run.evidence)
    random.shuffle(entries)
    assert diagnose(replace(run, evidence=Evidence(dict(entries)))) == diagnose(run)


@pytest.mark.parametrize("name", names())
def test_without_any_evidence_every_programmed_hop_is_unknown(name: str) -> None:
    diagnosis = diagnose(replace(recorded(name), evidence=Evidence()))
    assert diagnosis.verdict in (ProbeVerdict.UNKNOWN, ProbeVerdict.BROKEN)
    known_from_curl = {HopName.DESTINATION_RESPONSE, HopName.NAME_RESOLUTION}
    known_from_kubernetes = {Reason.ADDRESS_OUTSIDE_POD_CIDR, Reason.NO_READY_BACKENDS}
    for finding in diagnosis.findings:
        if finding.hop not in known_from_curl and finding.reason not in known_from_kubernetes:
            assert finding.verdict is HopVerdict.UNKNOWN, finding


@pytest.mark.parametrize("name", names())
def test_one_reading_is_not_enough_for_a_contradiction(name: str) -> None:
    run = recorded(name)
    once = Evidence({fact: readings[:1] for fact, readings in run.evidence})
    diagnosis = diagnose(replace(run, evidence=once, second_look=False))
    assert all(finding.verdict is not HopVerdict.STALE for finding in diagnosis.findings)


def test_conntrack_without_a_clock_is_no_evidence() -> None:
    run = recorded("connection-refused")
    probed = b"/tmp/cilium/config-map/enable-bpf-clock-probe:true\n"
    for fact, readings in run.evidence:
        if fact.kind is FactKind.AGENT_CONFIG:
            with_probe = [replace(r, stdout=r.stdout + probed) for r in readings if isinstance(r, Answer)]
            run = replace(run, evidence=Evidence({**run.evidence.readings, fact: tuple(with_probe)}))
    config = {**run.plan.config, "enable-bpf-clock-probe": "true"}
    diagnosis = diagnose(replace(run, plan=replace(run.plan, config=config), plan_after=None))
    assert diagnosis.verdict is ProbeVerdict.BROKEN
    assert diagnosis.divergence is None


@pytest.mark.parametrize("name", ["healthy-same-node", "healthy-cross-node"])
def test_a_silent_observed_witness_alone_makes_no_hop_unknown(name: str) -> None:
    """The request succeeded, and the datapath agrees with intent: traces would only confirm it."""
    diagnosis = diagnose(no_conntrack_entries(recorded(name)))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert {finding.verdict for finding in diagnosis.findings} == {HopVerdict.OK}


@pytest.mark.parametrize("name", ["healthy-service-same-node", "healthy-service-cross-node"])
def test_without_traces_the_backend_is_unknown(name: str) -> None:
    """Hops beyond the selection of a backend can't be judged: that is more than a silent witness."""
    diagnosis = diagnose(no_conntrack_entries(recorded(name)))
    assert (diagnosis.verdict, diagnosis.met) == (ProbeVerdict.UNKNOWN, True)
    [unknown] = [finding for finding in diagnosis.findings if finding.verdict is not HopVerdict.OK]
    assert (unknown.hop, unknown.verdict) == (HopName.SERVICE_TRANSLATION, HopVerdict.UNKNOWN)


OTHER_PAIR = "endpoint-routes/destination-wrong-peer@1.18.5"


def test_a_program_is_not_missed_at_a_device_that_may_be_another() -> None:
    """Another pair with the same name lacks the program too, and the pair is the fault."""
    run = recorded(OTHER_PAIR)
    diagnosis = diagnose(_without(run, [q for q, _ in run.evidence if q.kind is FactKind.LINK]))
    assert (diagnosis.verdict, diagnosis.divergence) == (ProbeVerdict.UNKNOWN, None)


def test_the_nodes_end_alone_shows_another_device() -> None:
    run = recorded(OTHER_PAIR)
    diagnosis = diagnose(_without(run, [q for q, _ in run.evidence if q.get("namespace")]))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.DESTINATION_INTERFACE
