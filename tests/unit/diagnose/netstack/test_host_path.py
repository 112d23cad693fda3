"""What swallows packets to and from a node's own network, and who is not blamed for a refusal there."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.iproute2 import ss
from datapath_probe.sources.netfilter import iptables
from unit.recorded import recorded

REFUSED, PORT = "to-host-refused", 8089
THERE, RESPONSE = HopName.NODE_ROUTING, HopName.DESTINATION_RESPONSE
TABLES = "*filter\n:{} ACCEPT [9:900]\n{}\nCOMMIT\n"
NO_ANSWER = Unavailable("EvidenceTimeout", "no answer within 5 s")
NO_MAP_ENTRY = Answer(254, b"null", b"", 0.0, 0.0)


def answering(run: PathRun, answers: Mapping[Fact, Reading]) -> PathRun:
    """The run, all its answers heard twice, with other ones."""
    heard = {q: (r[-1], r[-1]) for q, r in run.evidence}
    readings = {**heard, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def printed(text: str) -> Answer:
    return Answer(0, text.encode(), b"", 0.0, 0.0)


def ends(run: PathRun) -> tuple[str, str]:
    host = run.plan.backends[0].host
    assert host is not None
    return run.plan.source.node.name, host.name


def ruled(at: int, chain: str, rule: str, name: str = REFUSED) -> Diagnosis:
    """What is said where this rule is on the source's node (0), or the destination's (1)."""
    run = recorded(name)
    rules = TABLES.format(chain, f"[3:180] -A {chain} {rule}")
    return diagnose(answering(run, {iptables.fact(ends(run)[at]): printed(rules)}))


def with_sockets(text: str) -> Diagnosis:
    run = recorded(REFUSED)
    return diagnose(answering(run, {ss.of_host(ends(run)[1], PORT): printed(text)}))


@pytest.mark.parametrize(
    ("at", "chain", "rule"),
    [
        (1, "INPUT", "-p tcp -m tcp --dport 8089 -j REJECT --reject-with tcp-reset"),
        (1, "INPUT", "-p tcp -m tcp --dport 8089 -j DROP"),
        (1, "INPUT", "-s 172.30.0.12/32 -p tcp -j DROP"),
        (0, "FORWARD", "-s 10.244.1.134/32 -p tcp -m tcp --dport 8089 -j REJECT"),
    ],
)
def test_a_rule_on_the_way_to_a_host_is_blamed(at: int, chain: str, rule: str) -> None:
    told = ruled(at, chain, rule)
    assert told.divergence is not None
    named = (told.divergence.hop, told.divergence.node, told.reason)
    assert named == (THERE, ends(recorded(REFUSED))[at], Reason.NETFILTER_DROPS)


@pytest.mark.parametrize(
    ("at", "chain", "rule"),
    [
        (1, "INPUT", "-p tcp -m tcp --dport 8090 -j DROP"),
        (1, "FORWARD", "-p tcp -m tcp --dport 8089 -j DROP"),
        (1, "INPUT", "-s 10.244.1.134/32 -p tcp -j DROP"),  # it comes from its node's address
        (0, "INPUT", "-p tcp -m tcp --dport 8089 -j DROP"),
        (0, "OUTPUT", "-p tcp -m tcp --dport 8089 -j DROP"),
    ],
)
def test_other_rules_leave_the_blame_with_the_application(at: int, chain: str, rule: str) -> None:
    told = ruled(at, chain, rule)
    assert told.divergence is not None
    assert told.divergence.hop is RESPONSE


def test_a_rule_that_may_mean_the_request_blames_nobody() -> None:
    told = ruled(1, "INPUT", "-p tcp -m tcp --dport 8089 --sport 40000:50000 -j DROP")
    assert told.divergence is None
    routing = next(finding for finding in told.findings if finding.hop is THERE)
    assert (routing.verdict, routing.reason) == (HopVerdict.UNKNOWN, Reason.NOT_OBSERVED)


def test_filters_of_a_host_that_can_not_be_seen_blame_nobody() -> None:
    run = recorded(REFUSED)
    told = diagnose(answering(run, {iptables.fact(ends(run)[1]): NO_ANSWER}))
    assert told.divergence is None


def test_a_rule_that_drops_what_a_host_answers_is_blamed() -> None:
    told = ruled(1, "OUTPUT", "-p tcp -m tcp --sport 8089 -j DROP")
    assert told.divergence is not None
    assert (told.divergence.hop, told.reason) == (HopName.REPLY_ROUTING, Reason.NETFILTER_DROPS)


def test_who_listens_on_a_host_has_not_refused() -> None:
    told = with_sockets("LISTEN 0 5 172.30.0.11:8089 0.0.0.0:*\n")
    assert told.divergence is None
    response = next(finding for finding in told.findings if finding.hop is RESPONSE)
    assert (response.verdict, response.reason) == (HopVerdict.UNKNOWN, Reason.NOT_OBSERVED)


@pytest.mark.parametrize("text", ["", "LISTEN 0 5 127.0.0.1:8089 0.0.0.0:*\n", "LISTEN 6 5 *:8089 *:*\n"])
def test_a_host_where_nobody_listens_has_refused(text: str) -> None:
    divergence = with_sockets(text).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (RESPONSE, Reason.CONNECTION_REFUSED)


def failed(name: str) -> PathRun:
    """A healthy run as if curl had not got a connection, and nobody had seen any of its packets."""
    run, report = recorded(name), recorded(REFUSED).request.reading
    gone = {q: NO_MAP_ENTRY for q, _ in run.evidence if q.kind is FactKind.CONNTRACK_ENTRY}
    return answering(replace(run, request=replace(run.request, reading=report)), gone)


def test_a_rule_that_keeps_a_pod_from_its_own_host_is_blamed() -> None:
    run = failed("healthy-to-host-same-node")
    assert iptables.fact(ends(run)[0]) in facts_of(run)
    rules = TABLES.format("INPUT", "[3:180] -A INPUT -p tcp -m tcp --dport 8088 -j DROP")
    run = answering(run, {iptables.fact(ends(run)[0]): printed(rules)})
    lookup = next(f for f in diagnose(run).findings if f.hop is HopName.ENDPOINT_LOOKUP)
    assert (lookup.verdict, lookup.reason) == (HopVerdict.STALE, Reason.NETFILTER_DROPS)


@pytest.mark.parametrize(("at", "chain"), [(0, "OUTPUT"), (1, "INPUT")])
def test_a_rule_between_two_hosts_is_blamed(at: int, chain: str) -> None:
    run = failed("healthy-host-to-host")
    rules = TABLES.format(chain, f"[3:180] -A {chain} -p tcp -m tcp --dport 8088 -j DROP")
    told = diagnose(answering(run, {iptables.fact(ends(run)[at]): printed(rules)}))
    assert told.divergence is not None
    assert (told.divergence.hop, told.divergence.node) == (THERE, ends(run)[at])


def test_a_rule_that_keeps_a_host_from_pods_is_blamed() -> None:
    run = failed("healthy-from-host-cross-node")
    rules = TABLES.format("OUTPUT", "[3:180] -A OUTPUT -p tcp -m tcp --dport 80 -j DROP")
    node = run.plan.source.node.name
    told = diagnose(answering(run, {iptables.fact(node): printed(rules)}))
    assert told.divergence is not None
    assert (told.divergence.hop, told.reason) == (THERE, Reason.NETFILTER_DROPS)


@pytest.mark.parametrize("name", ["healthy-to-host-cross-node", "healthy-host-to-host"])
def test_a_request_that_came_through_asks_for_no_filters(name: str) -> None:
    run = recorded(name)
    assert not [q for q in facts_of(run) if q.kind in (FactKind.IPTABLES_RULES, FactKind.SOCKETS)]
