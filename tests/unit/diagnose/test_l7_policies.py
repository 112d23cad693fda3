"""Policies that redirect traffic to an L7 proxy: the verdict on other traffic, and on hops before and beyond the proxy.

Derived from recorded runs: the lab runs without a proxy. The rules have the format of Cilium 1.18.5 and 1.19.5.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Witness
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import PodFacts
from datapath_probe.sources.agent import agent_endpoint, policy_selectors
from datapath_probe.sources.iproute2 import links
from unit.diagnose.verdict.test_loss_counters import silent
from unit.kinds import entry_of
from unit.recorded import recorded
from unit.sources.golden import printed

ANY, DNS, PEERS = "all", "name servers", "peers"
OF_POLICY = [
    [
        f"k8s:io.cilium.k8s.policy.{key}"
        for key in ("derived-from=CiliumNetworkPolicy", "name=dns", "namespace=e2e")
    ]
]
DNS_RULES = [{"matchPattern": "*"}]
LISTENER = {"1.18.5": {"priority": 121}, "1.19.5": {"listenerPriority": 121}}


def rule(
    selector: str,
    port: int,
    protocol: str,
    details: Mapping[str, object] | None,
    *,
    synthesized: bool = False,
) -> dict[str, object]:
    """One filter as the agent writes it. A synthesized one, without default deny, comes from no policy."""
    origin = [] if synthesized else OF_POLICY
    written = {"port": port, "protocol": protocol, "l7-rules": [{selector: details}]}
    return {
        "derived-from-rules": origin,
        "rule": json.dumps(written),
        "rules-by-selector": {selector: origin},
    }


def dns(version: str) -> dict[str, object]:
    """`rules: {dns: [{matchPattern: "*"}]}`."""
    return rule(DNS, 53, "UDP", {**LISTENER[version], "dns": DNS_RULES})


TO_PEERS = rule(PEERS, 80, "TCP", None)
ALLOW_ALL = rule(ANY, 0, "ANY", None, synthesized=True)


def with_policy(
    run: PathRun, pod: PodFacts, direction: str, rules: Sequence[Mapping[str, object]]
) -> PathRun:
    """The run with these rules, realized by the agent of the pod's node."""
    assert pod.endpoint is not None
    endpoint = agent_endpoint.fact(pod.node.name, pod.endpoint.endpoint_id)
    [answer, *_] = run.evidence.all(endpoint)
    assert isinstance(answer, Answer)
    shown = json.loads(answer.stdout)
    shown[0]["status"]["policy"]["realized"]["policy-enabled"] = direction
    shown[0]["status"]["policy"]["realized"]["l4"][direction] = rules
    shown[0]["status"]["policy"]["spec"]["policy-revision"] = 1
    shown[0]["status"]["policy"]["realized"]["policy-revision"] = 1
    every = [1, *(p.endpoint.identity for p in (run.plan.source, target(run)) if p.endpoint)]
    selectors = f"{ANY}\t{every}\n{DNS}\t[99]\n{PEERS}\t{every}\n"
    changed = {
        endpoint: replace(answer, stdout=json.dumps(shown).encode()),
        policy_selectors.fact(pod.node.name): replace(printed(selectors), at=answer.at),
    }
    readings = {**run.evidence.readings, **{fact: (reading, reading) for fact, reading in changed.items()}}
    return replace(run, evidence=Evidence(readings))


def target(run: PathRun) -> PodFacts:
    found = run.plan.backends[0].pod_facts
    assert found is not None
    return found


def finding(run: PathRun, hop: HopName) -> Finding:
    [found] = [finding for finding in diagnose(run).findings if finding.hop is hop]
    return found


@pytest.mark.parametrize("name", ["healthy-cross-node", "healthy-service-cross-node"])
@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([TO_PEERS], "allowed by CiliumNetworkPolicy e2e/dns"),
        ([ALLOW_ALL], "allowed, since no policy denies by default"),  # for visibility alone
    ],
)
@pytest.mark.parametrize("version", list(LISTENER))
def test_a_dns_policy_leaves_other_traffic_judged(
    name: str, others: Sequence[Mapping[str, object]], words: str, version: str
) -> None:
    run = recorded(name)
    run = with_policy(run, run.plan.source, "egress", [dns(version), *others])
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY
    assert finding(run, HopName.EGRESS_POLICY).evidence[Witness.INTENT].summary.endswith(words)


@pytest.mark.parametrize(
    "ranked",
    [
        {"priority": 1},
        {"priority": 1, "verdict": 1},
        {"priority": 1, "listenerPriority": 121, "dns": DNS_RULES},
        {"verdict": 2},
    ],
)
def test_rules_of_different_priorities_are_not_followed(ranked: Mapping[str, object]) -> None:
    run = recorded("healthy-cross-node")
    run = with_policy(run, run.plan.source, "egress", [rule(DNS, 53, "UDP", ranked), TO_PEERS])
    found = finding(run, HopName.EGRESS_POLICY)
    assert (found.verdict, found.reason) == (HopVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert "tiers or priorities" in found.message


TO_PROXY = b'{"key":["0x00"],"value":["0x2b","0x67","0xc0","0x00","0x01","0x00","0x00","0x00"]}'


def behind_l7_policy(name: str) -> PathRun:
    """The run with an L7 policy for HTTP at the destination, in the agent's answer and in the policy map."""
    run = recorded(name)
    http = rule(PEERS, run.plan.backends[0].port, "TCP", {"priority": 101, "http": [{"method": "GET"}]})
    run = with_policy(run, target(run), "ingress", [http])
    own_map = f"cilium_policy_v2_{_number(target(run)):05d}"
    readings = {
        fact: tuple(replace(a, exit_code=0, stdout=TO_PROXY) for a in answers if isinstance(a, Answer))
        if entry_of(fact) == own_map
        else answers
        for fact, answers in run.evidence
    }
    return replace(run, evidence=Evidence(readings))


def to_proxy(run: PathRun, answer: Answer) -> PathRun:
    """The run with this route for packets with the mark of the proxy on the destination's node, read twice."""
    pod = target(run)
    fact = links.marked_route_to(pod.node.name, pod.ip, 0x200)
    assert fact in facts_of(run)
    return replace(run, evidence=Evidence({**dict(run.evidence), fact: (answer, answer)}), second_look=True)


PROXY_ROUTE = '[{"type":"local","dst":"10.244.1.9","dev":"lo","table":"2004","mark":512,"cache":["local"]}]\n'
PAST_PROXY = '[{"dst":"10.244.1.9","dev":"cilium_host","prefsrc":"10.244.1.115","mark":512,"cache":[]}]\n'
NOWHERE = Answer(2, b"", b"RTNETLINK answers: Network is unreachable\n", 0.0, 0.0)


@pytest.mark.parametrize("answer", [printed(PAST_PROXY), NOWHERE])
@pytest.mark.parametrize(
    ("name", "verdict"),
    [("healthy-cross-node", ProbeVerdict.DEGRADED), ("destination-link-down", ProbeVerdict.BROKEN)],
)
def test_a_node_that_does_not_deliver_packets_to_the_proxy_is_named(
    name: str, verdict: ProbeVerdict, answer: Answer
) -> None:
    diagnosis = diagnose(to_proxy(behind_l7_policy(name), answer))
    assert (diagnosis.verdict, diagnosis.reason) == (verdict, Reason.ROUTING_RULE_MISSING)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.INGRESS_POLICY
    assert "table 2004" in diagnosis.divergence.message


def test_what_the_proxy_does_with_packets_is_not_followed() -> None:
    diagnosis = diagnose(to_proxy(behind_l7_policy("healthy-cross-node"), printed(PROXY_ROUTE)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)


def sockets(run: PathRun, lines: str) -> PathRun:
    """The run whose destination's node has these sockets at the proxy's port, read twice."""
    run = to_proxy(run, printed(PROXY_ROUTE))
    (fact,) = [one for one in facts_of(run) if one.kind is FactKind.SOCKETS and not one.get("namespace")]
    assert fact.node == target(run).node.name
    answer = printed(lines)
    return replace(run, evidence=Evidence({**dict(run.evidence), fact: (answer, answer)}))


@pytest.mark.parametrize("lines", ["", "ESTAB 0 0 127.0.0.1:11111 127.0.0.1:40000\n"])
def test_a_redirect_to_a_port_where_no_process_listens_is_named(lines: str) -> None:
    diagnosis = diagnose(sockets(behind_l7_policy("destination-link-down"), lines))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.PROXY_NOT_LISTENING)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.INGRESS_POLICY
    assert "a proxy at port 11111 of" in diagnosis.divergence.message


def test_a_proxy_that_listens_is_no_fault() -> None:
    listening = sockets(behind_l7_policy("healthy-cross-node"), "LISTEN 0 128 127.0.0.1:11111 0.0.0.0:*\n")
    assert diagnose(listening).reason is Reason.UNSUPPORTED_CONFIGURATION


def test_only_a_path_through_the_proxy_depends_on_its_rule() -> None:
    assert not [fact for fact in facts_of(recorded("healthy-cross-node")) if fact.get("mark")]


def _number(pod: PodFacts) -> int:
    assert pod.endpoint is not None
    return pod.endpoint.endpoint_id


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("ipcache-wrong-tunnel-endpoint", ProbeVerdict.BROKEN),
        ("endpoint-entry-missing", ProbeVerdict.BROKEN),
        ("source-link-down", ProbeVerdict.BROKEN),
        ("overlay-tail-call-missing", ProbeVerdict.BROKEN),
        ("tunnel-device-down-source", ProbeVerdict.BROKEN),
        ("ipcache-entry-missing", ProbeVerdict.DEGRADED),
    ],
)
def test_a_fault_before_an_l7_policy_is_named_as_without_it(name: str, verdict: ProbeVerdict) -> None:
    plain, diagnosis = diagnose(recorded(name)), diagnose(behind_l7_policy(name))
    assert finding(behind_l7_policy(name), HopName.INGRESS_POLICY).unfollowed_beyond
    assert diagnosis.verdict is verdict
    assert (diagnosis.verdict, diagnosis.reason) == (plain.verdict, plain.reason)
    assert diagnosis.divergence == plain.divergence
    assert diagnosis.divergence is not None


def test_a_loss_before_an_l7_policy_is_narrowed_as_without_it() -> None:
    name = "overlay-dropped-on-the-wire"
    plain, diagnosis = diagnose(silent(recorded(name))), diagnose(silent(behind_l7_policy(name)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.LOST_BETWEEN_NODES)
    assert diagnosis.segment == plain.segment


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("healthy-cross-node", "the request succeeded, but "),
        ("healthy-service-cross-node", "the request succeeded, but "),
        ("reply-program-detached", "the request succeeded, but "),
        ("connection-refused", "the request failed ("),
        ("overlay-dropped-on-the-wire", "the request failed ("),
        ("destination-link-down", "the request failed ("),
        ("reply-ipcache-wrong-tunnel-endpoint", "the request failed ("),
    ],
)
def test_beyond_an_l7_policy_nothing_is_judged(name: str, words: str) -> None:
    diagnosis = diagnose(behind_l7_policy(name))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert diagnosis.message.startswith(words)
    assert "redirects identity" in diagnosis.message
    assert (diagnosis.divergence, diagnosis.segment) == (None, None)
    assert {f.verdict for f in diagnosis.findings} == {HopVerdict.OK, HopVerdict.UNKNOWN}
