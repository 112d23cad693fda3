"""Packet filters for packets to and from a node's own network, and refusals that are not the application's."""

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
    """The run, all its answers read twice, with other ones."""
    twice = {q: (r[-1], r[-1]) for q, r in run.evidence}
    readings = {**twice, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def printed(text: str) -> Answer:
    return Answer(0, text.encode(), b"", 0.0, 0.0)


def ends(run: PathRun) -> tuple[str, str]:
    host = run.plan.backends[0].host
    assert host is not None
    return run.plan.source.node.name, host.name


def ruled(at: int, chain: str, rule: str, name: str = REFUSED) -> Diagnosis:
    """The diagnosis with this rule on the source's node (0), or the destination's (1)."""
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
def test_a_rule_for_packets_to_a_host_is_the_cause(at: int, chain: str, rule: str) -> None:
    diagnosis = ruled(at, chain, rule)
    assert diagnosis.divergence is not None
    named = (diagnosis.divergence.hop, diagnosis.divergence.node, diagnosis.reason)
    assert named == (THERE, ends(recorded(REFUSED))[at], Reason.NETFILTER_DROPS)


@pytest.mark.parametrize(
    ("at", "chain", "rule"),
    [
        (1, "INPUT", "-p tcp -m tcp --dport 8090 -j DROP"),
        (1, "FORWARD", "-p tcp -m tcp --dport 8089 -j DROP"),
        (1, "INPUT", "-s 10.244.1.134/32 -p tcp -j DROP"),  # packets arrive with the node's address
        (0, "INPUT", "-p tcp -m tcp --dport 8089 -j DROP"),
        (0, "OUTPUT", "-p tcp -m tcp --dport 8089 -j DROP"),
    ],
)
def test_other_rules_leave_the_blame_with_the_application(at: int, chain: str, rule: str) -> None:
    diagnosis = ruled(at, chain, rule)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is RESPONSE


def test_a_rule_that_may_match_the_request_names_no_hop() -> None:
    diagnosis = ruled(1, "INPUT", "-p tcp -m tcp --dport 8089 --sport 40000:50000 -j DROP")
    assert diagnosis.divergence is None
    routing = next(finding for finding in diagnosis.findings if finding.hop is THERE)
    assert (routing.verdict, routing.reason) == (HopVerdict.UNKNOWN, Reason.NOT_OBSERVED)


def test_filters_of_a_host_that_can_not_be_read_name_no_hop() -> None:
    run = recorded(REFUSED)
    diagnosis = diagnose(answering(run, {iptables.fact(ends(run)[1]): NO_ANSWER}))
    assert diagnosis.divergence is None


def test_a_rule_for_replies_of_a_host_is_the_cause() -> None:
    diagnosis = ruled(1, "OUTPUT", "-p tcp -m tcp --sport 8089 -j DROP")
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (HopName.REPLY_ROUTING, Reason.NETFILTER_DROPS)


def test_a_listening_socket_on_a_host_has_not_refused() -> None:
    diagnosis = with_sockets("LISTEN 0 5 172.30.0.11:8089 0.0.0.0:*\n")
    assert diagnosis.divergence is None
    response = next(finding for finding in diagnosis.findings if finding.hop is RESPONSE)
    assert (response.verdict, response.reason) == (HopVerdict.UNKNOWN, Reason.NOT_OBSERVED)


@pytest.mark.parametrize("text", ["", "LISTEN 0 5 127.0.0.1:8089 0.0.0.0:*\n", "LISTEN 6 5 *:8089 *:*\n"])
def test_a_host_without_a_listening_socket_has_refused(text: str) -> None:
    divergence = with_sockets(text).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (RESPONSE, Reason.CONNECTION_REFUSED)


def failed(name: str) -> PathRun:
    """A healthy run as if curl got no connection, and conntrack had no entries of it."""
    run, report = recorded(name), recorded(REFUSED).request.reading
    gone = {q: NO_MAP_ENTRY for q, _ in run.evidence if q.kind is FactKind.CONNTRACK_ENTRY}
    return answering(replace(run, request=replace(run.request, reading=report)), gone)


def test_a_rule_for_packets_of_a_pod_to_its_own_host_is_the_cause() -> None:
    run = failed("healthy-to-host-same-node")
    assert iptables.fact(ends(run)[0]) in facts_of(run)
    rules = TABLES.format("INPUT", "[3:180] -A INPUT -p tcp -m tcp --dport 8088 -j DROP")
    run = answering(run, {iptables.fact(ends(run)[0]): printed(rules)})
    lookup = next(f for f in diagnose(run).findings if f.hop is HopName.ENDPOINT_LOOKUP)
    assert (lookup.verdict, lookup.reason) == (HopVerdict.STALE, Reason.NETFILTER_DROPS)


@pytest.mark.parametrize(("at", "chain"), [(0, "OUTPUT"), (1, "INPUT")])
def test_a_rule_between_two_hosts_is_the_cause(at: int, chain: str) -> None:
    run = failed("healthy-host-to-host")
    rules = TABLES.format(chain, f"[3:180] -A {chain} -p tcp -m tcp --dport 8088 -j DROP")
    diagnosis = diagnose(answering(run, {iptables.fact(ends(run)[at]): printed(rules)}))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (THERE, ends(run)[at])


def test_a_rule_for_packets_of_a_host_to_pods_is_the_cause() -> None:
    run = failed("healthy-from-host-cross-node")
    rules = TABLES.format("OUTPUT", "[3:180] -A OUTPUT -p tcp -m tcp --dport 80 -j DROP")
    node = run.plan.source.node.name
    diagnosis = diagnose(answering(run, {iptables.fact(node): printed(rules)}))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (THERE, Reason.NETFILTER_DROPS)


@pytest.mark.parametrize("name", ["healthy-to-host-cross-node", "healthy-host-to-host"])
def test_after_a_successful_request_no_filters_are_read(name: str) -> None:
    run = recorded(name)
    assert not [q for q in facts_of(run) if q.kind in (FactKind.IPTABLES_RULES, FactKind.SOCKETS)]


REDIRECTS = (
    "*nat\n:{0} ACCEPT [0:0]\n[3:180] -A {0} -p tcp -m tcp --dport 80 {1} -j REDIRECT --to-ports 9\nCOMMIT\n"
)


@pytest.mark.parametrize(
    ("words", "redirects"),
    [
        ("", True),
        ("-s 10.99.0.0/16", False),
        ("-m addrtype --dst-type LOCAL", False),  # as for Services; it may match
    ],
)
def test_a_rule_that_certainly_redirects_packets_for_a_pod_is_the_cause(words: str, redirects: bool) -> None:
    run = failed("healthy-from-host-cross-node")
    node = run.plan.source.node.name
    answers: dict[Fact, Reading] = {iptables.fact(node): printed(REDIRECTS.format("OUTPUT", words))}
    diagnosis = diagnose(answering(run, answers))
    named = diagnosis.divergence and (diagnosis.divergence.hop, diagnosis.divergence.reason)
    assert (named == (THERE, Reason.NETFILTER_DROPS)) is redirects
    assert not redirects or "redirects the packets" in diagnosis.message
