"""The names of policies, and the outcome of an expected denial, in recorded runs and in variants with less evidence."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Witness
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from unit.kinds import entry_of, of_kind
from unit.recorded import recorded

INGRESS, EGRESS = HopName.INGRESS_POLICY, HopName.EGRESS_POLICY


def finding(run: PathRun, hop: HopName) -> Finding:
    [found] = [finding for finding in diagnose(run).findings if finding.hop is hop]
    return found


def without(run: PathRun, which: Callable[[Fact], bool]) -> PathRun:
    """The run without answers to these facts."""

    def gone(reading: Reading) -> Reading:
        return Unavailable(EvidenceError.TIMEOUT, "no answer within 5 s", reading.at)

    readings = {fact: tuple(map(gone, answers)) if which(fact) else answers for fact, answers in run.evidence}
    return replace(run, evidence=Evidence(readings))


def rewritten(run: PathRun, which: Callable[[Fact], bool], old: bytes, new: bytes) -> PathRun:
    """The run with other text in these answers."""

    def other(reading: Reading) -> Reading:
        return (
            replace(reading, stdout=reading.stdout.replace(old, new))
            if isinstance(reading, Answer)
            else reading
        )

    readings = {
        fact: tuple(map(other, answers)) if which(fact) else answers for fact, answers in run.evidence
    }
    return replace(run, evidence=Evidence(readings))


HUBBLE = of_kind(FactKind.FLOWS, FactKind.ICMP_FLOWS, FactKind.NEWEST_FLOW)
MONITOR = of_kind(FactKind.MONITOR_DROPS, FactKind.MONITOR_TRACES)
SELECTORS = of_kind(FactKind.POLICY_SELECTORS)
ENDPOINTS = of_kind(FactKind.AGENT_ENDPOINT, FactKind.AGENT_ENDPOINT_BY_ADDRESS)
REPOSITORY = of_kind(FactKind.POLICY_RULES)


@pytest.mark.parametrize(
    ("name", "hop", "policies", "decision"),
    [
        ("healthy-policy-allows", INGRESS, "CiliumNetworkPolicy e2e/land", "allow"),
        ("ingress-policy-clusterwide-deny", INGRESS, "CiliumClusterwideNetworkPolicy e2e-no-exhaust", "deny"),
        ("ingress-policy-default-deny-same-node", INGRESS, "NetworkPolicy e2e/nobody", "default deny"),
        ("egress-policy-deny-service", EGRESS, "CiliumNetworkPolicy e2e/grounded", "deny"),
        ("denied-as-expected", INGRESS, "CiliumNetworkPolicy e2e/shields-up", "deny"),
        ("denied-by-default-as-expected", INGRESS, "NetworkPolicy e2e/nobody", "default deny"),
        ("policy-map-entry-missing", INGRESS, "CiliumNetworkPolicy e2e/land", "allow"),
    ],
)
def test_the_policies_are_facts_and_words(name: str, hop: HopName, policies: str, decision: str) -> None:
    found = finding(recorded(name), hop)
    facts = found.evidence[Witness.INTENT].facts
    assert (facts["policies"], facts["decision"]) == (policies, decision)
    assert policies in found.message or found.verdict is HopVerdict.OK


def test_a_direction_without_policies_is_not_enforced() -> None:
    found = finding(recorded("healthy-policy-allows"), EGRESS)
    assert found.evidence[Witness.INTENT].summary.endswith("not enforced")
    assert found.evidence[Witness.INTENT].facts["policies"] == ""


def test_without_the_rules_a_default_deny_has_no_name() -> None:
    found = finding(without(recorded("denied-by-default-as-expected"), REPOSITORY), INGRESS)
    assert found.verdict is HopVerdict.OK
    assert found.evidence[Witness.INTENT].facts["policies"] == ""
    assert "default deny" in found.message


@pytest.mark.parametrize("missing", [SELECTORS, ENDPOINTS])
def test_a_map_that_allows_is_not_ok_if_the_agents_policy_is_not_known(
    missing: Callable[[Fact], bool],
) -> None:
    run = without(recorded("policy-map-lets-through"), missing)
    assert finding(run, INGRESS).verdict is HopVerdict.UNKNOWN
    assert diagnose(run).verdict is ProbeVerdict.UNKNOWN


def test_a_map_that_differs_from_a_policy_that_is_not_realized_yet_proves_nothing() -> None:
    run = rewritten(
        recorded("policy-map-lets-through"), ENDPOINTS, b'"policy-revision": ', b'"policy-revision": 1'
    )
    assert finding(run, INGRESS).verdict is HopVerdict.STALE  # both revisions changed alike
    for answer in (a for q, answers in run.evidence if ENDPOINTS(q) for a in answers):
        assert isinstance(answer, Answer)
    run = replace(run, evidence=_only_first_revision(run))
    assert finding(run, INGRESS).reason is Reason.IN_TRANSITION


def test_answers_of_different_moments_are_read_again() -> None:
    run = replace(
        rewritten(recorded("healthy-policy-allows"), SELECTORS, b"pod.namespace: e2e", b"pod.namespace: x"),
        second_look=False,
    )
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNPARSABLE_OUTPUT)
    assert diagnosis.needs_second_look
    assert all(any(map(which, diagnosis.confirm)) for which in (SELECTORS, ENDPOINTS))


def _only_first_revision(run: PathRun) -> Evidence:
    """The realized revision is first in the agent's answer; the wanted one stays as it is."""

    def other(reading: Reading) -> Reading:
        assert isinstance(reading, Answer)
        return replace(
            reading, stdout=reading.stdout.replace(b'"policy-revision": ', b'"policy-revision": 9', 1)
        )

    readings = {q: tuple(map(other, a)) if ENDPOINTS(q) else a for q, a in run.evidence}
    return Evidence(readings)


@pytest.mark.parametrize(
    "name", ["denied-as-expected", "denied-by-default-as-expected", "denied-on-egress-as-expected"]
)
def test_a_denial_that_was_not_observed_is_unknown(name: str) -> None:
    diagnosis = diagnose(without(without(recorded(name), HUBBLE), MONITOR))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.DENIAL_NOT_OBSERVED)
    assert diagnosis.met is None


def test_the_monitor_shows_a_denial_if_hubble_does_not() -> None:
    diagnosis = diagnose(without(recorded("denied-by-default-as-expected"), HUBBLE))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.HEALTHY, Reason.DENIED)


def test_a_drop_for_missing_authentication_is_no_denial() -> None:
    run = rewritten(recorded("denied-as-expected"), HUBBLE, b'"drop_reason":181', b'"drop_reason":189')
    assert diagnose(run).reason is Reason.DENIAL_NOT_OBSERVED


def test_a_denial_of_another_connection_does_not_count() -> None:
    run = recorded("denied-as-expected")
    other = replace(run.request, local_port=run.request.local_port + 1)
    assert diagnose(replace(run, request=other)).verdict is ProbeVerdict.UNKNOWN


def test_a_denial_with_a_wrong_identity_is_degraded() -> None:
    run = recorded("denied-as-expected")
    assert run.plan.source.endpoint is not None
    identity = str(run.plan.source.endpoint.identity).encode()
    wrong_identity = rewritten(run, HUBBLE, b'"identity":' + identity, b'"identity":99')
    diagnosis = diagnose(wrong_identity)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.WRONG_IDENTITY)


def test_a_connection_that_no_policy_denies_names_both() -> None:
    diagnosis = diagnose(recorded("denial-not-enforced"))
    assert "egress: not enforced; ingress: not enforced" in diagnosis.message


def test_a_policy_that_is_not_in_the_map_is_named() -> None:
    diagnosis = diagnose(recorded("denial-not-programmed"))
    assert "CiliumNetworkPolicy e2e/shields-up" in diagnosis.message
    assert "the policy map says allow" in diagnosis.message


def test_without_the_sources_policy_no_hop_is_named_for_a_missing_denial() -> None:
    run = recorded("denial-not-enforced")
    of_source = run.plan.source.endpoint
    assert of_source is not None
    run = without(run, lambda fact: ENDPOINTS(fact) and fact.get("endpoint") == of_source.endpoint_id)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.POLICY_NOT_ENFORCED)
    assert diagnosis.divergence is None
    assert diagnosis.segment is None


def test_a_direction_that_is_only_audited_allows() -> None:
    run = rewritten(
        recorded("denial-not-programmed"),
        ENDPOINTS,
        b'"policy-enabled": "ingress"',
        b'"policy-enabled": "audit-ingress"',
    )
    assert "denied (audited only) by" in diagnose(run).message


BY_PROXY = b'{"key":["0x00"],"value":["0x2b","0x67","0xc0","0x00","0x01","0x00","0x00","0x00"]}'
AUTHENTICATED = b'{"key":["0x00"],"value":["0x00","0x00","0xc0","0x81","0x01","0x00","0x00","0x00"]}'


def with_entry(run: PathRun, answer: bytes) -> PathRun:
    """Derived: the destination's policy map has this entry, which no policy of the lab causes."""
    own_map = f"cilium_policy_v2_{_endpoint(run):05d}"
    readings = {
        fact: tuple(replace(a, exit_code=0, stdout=answer) for a in answers if isinstance(a, Answer))
        if entry_of(fact) == own_map
        else answers
        for fact, answers in run.evidence
    }
    return replace(run, evidence=Evidence(readings))


def with_rule(run: PathRun, details: bytes) -> PathRun:
    """Derived: the policy requires more than an identity."""
    return rewritten(run, ENDPOINTS, b':null}]}"', b":" + details + b'}]}"')


def test_packets_to_the_l7_proxy_are_not_followed() -> None:
    run = with_rule(
        with_entry(recorded("healthy-policy-allows"), BY_PROXY), b'{\\"http\\":[{\\"method\\":\\"POST\\"}]}'
    )
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert "L7 proxy (port 11111)" in diagnosis.message


@pytest.mark.parametrize(
    ("entry", "words"),
    [(BY_PROXY, "if the L7 proxy (port 11111) allows it"), (AUTHENTICATED, "if authenticated")],
)
def test_a_map_with_a_condition_that_no_policy_requires_is_a_mismatch(entry: bytes, words: str) -> None:
    found = finding(with_entry(recorded("connection-refused"), entry), INGRESS)
    assert found.reason is Reason.POLICY_MAP_MISMATCH
    assert words in found.message


def test_packets_with_the_required_authentication_pass() -> None:
    run = with_rule(
        with_entry(recorded("healthy-policy-allows"), AUTHENTICATED),
        b'{\\"auth\\":{\\"mode\\":\\"required\\"}}',
    )
    assert finding(run, INGRESS).verdict is HopVerdict.OK


def _endpoint(run: PathRun) -> int:
    target = run.plan.backends[0].pod_facts
    assert target is not None
    assert target.endpoint is not None
    return target.endpoint.endpoint_id
