"""The agent's policies compared with what it programmed: five policies on one endpoint, recorded on the lab."""

import json
from dataclasses import replace

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Unavailable
from datapath_probe.sources.agent import (
    agent_endpoint,
    endpoint_policy,
    policy_repository,
    policy_selectors,
)
from datapath_probe.sources.agent.endpoint_policy import Decision, EndpointPolicy, Traffic
from datapath_probe.sources.agent.policy_labels import PolicyRef, Requirement, labels_of
from datapath_probe.sources.maps import policymap
from datapath_probe.sources.maps.policymap import ANY_IDENTITY, PolicyEntry, TrafficDirection
from unit.sources.golden import RECORDED, answer, fact, looked_up, printed

INGRESS, EGRESS = TrafficDirection.INGRESS, TrafficDirection.EGRESS
SHIP, STAR, HOST = 2453, 15131, 1  # identities in the lab
LAND = PolicyRef("CiliumNetworkPolicy", "e2e", "land")
L4_ONLY = PolicyRef("CiliumNetworkPolicy", "e2e", "x-l4only")
NO_DEFAULT_DENY = PolicyRef("CiliumNetworkPolicy", "e2e", "x-nodd")
NO_EXHAUST = PolicyRef("CiliumClusterwideNetworkPolicy", "", "no-exhaust")
QUIET = PolicyRef("NetworkPolicy", "e2e", "np-quiet")

GRID: dict[str, str | None] = json.loads((RECORDED.parent / "policy_grid.json").read_text())
"""The entries of the endpoint's map: value by direction, identity and TCP port."""


def policy() -> EndpointPolicy:
    found = endpoint_policy.parse(answer("endpoint_policy", "five policies"))
    assert isinstance(found, EndpointPolicy)
    return found


def selections() -> policy_selectors.Selections:
    found = policy_selectors.parse(answer("policy_selectors", "all"))
    assert not isinstance(found, Unavailable)
    return found


def decide(direction: TrafficDirection, identity: int, port: int) -> Decision:
    decision = endpoint_policy.decide(
        policy(), selections(), Traffic(direction, identity, port, {"http": 80})
    )
    assert isinstance(decision, Decision)
    return decision


def entry(direction: TrafficDirection, identity: int, port: int) -> PolicyEntry | Absent:
    value = GRID[f"{direction.name.lower()} {identity} {port}"]
    found = policymap.parse(looked_up(value)) if value else Absent()
    assert not isinstance(found, Unavailable)
    return found


def test_the_builders_make_the_recorded_facts() -> None:
    assert agent_endpoint.fact("node2", 3568) == fact("endpoint_policy", "five policies")
    assert policy_selectors.fact("node2") == fact("policy_selectors", "all")
    assert policy_repository.fact("node2") == fact("policy_repository", "all")


@pytest.mark.parametrize("key", [key for key in GRID if key.split()[1] not in (str(ANY_IDENTITY), str(HOST))])
def test_the_agents_decisions_match_its_map(key: str) -> None:
    direction, identity, port = TrafficDirection[key.split()[0].upper()], *map(int, key.split()[1:])
    programmed = policymap.decide(entry(direction, identity, port), entry(direction, ANY_IDENTITY, port))
    allowed = isinstance(programmed, PolicyEntry) and not programmed.deny
    decision = endpoint_policy.decide(policy(), selections(), Traffic(direction, identity, port, {}))
    assert isinstance(decision, Decision)
    assert decision.allowed == allowed


@pytest.mark.parametrize(
    ("direction", "identity", "port", "allowed", "policies"),
    [
        (INGRESS, SHIP, 81, False, {NO_EXHAUST}),  # a clusterwide denial
        (INGRESS, SHIP, 8000, False, {LAND}),  # a range of ports, denied
        (INGRESS, SHIP, 8100, False, {LAND}),
        (INGRESS, SHIP, 82, True, {L4_ONLY}),  # to any peer
        (INGRESS, SHIP, 99, True, {NO_DEFAULT_DENY}),
        (INGRESS, SHIP, 84, False, set()),
        (INGRESS, SHIP, 8101, False, set()),
        (EGRESS, SHIP, 80, False, set()),
        (EGRESS, STAR, 80, True, {L4_ONLY}),
    ],
)
def test_the_deciding_policies_are_named(
    direction: TrafficDirection, identity: int, port: int, allowed: bool, policies: set[PolicyRef]
) -> None:
    decision = decide(direction, identity, port)
    assert (decision.allowed, set(decision.policies), decision.exact) == (allowed, policies, True)


def test_a_named_port_is_that_of_the_destination_pod() -> None:
    assert set(decide(INGRESS, SHIP, 80).policies) == {LAND, L4_ONLY}


def test_rules_that_may_come_from_either_of_two_policies_are_not_exact() -> None:
    peer = policy().filters[EGRESS][0].peers[0]
    one = replace(policy().filters[EGRESS][0], port_name="", first=0, last=65535, protocol="ANY")
    both = replace(one, peers=(replace(peer, selector="all", policies=(LAND, QUIET)),))
    known = replace(policy(), filters={EGRESS: (both,)})
    decision = endpoint_policy.decide(known, {"all": frozenset({SHIP})}, Traffic(EGRESS, SHIP, 80, {}))
    assert decision == Decision(allowed=True, policies=(LAND, QUIET), exact=False)


def test_what_only_a_rule_with_the_port_s_name_allows_is_marked() -> None:
    some = policy().filters[EGRESS][0]
    peer = replace(some.peers[0], selector="all", policies=(LAND,), deny=False, proxied=False)
    named = replace(some, port_name="http", first=0, last=65535, protocol="TCP", peers=(peer,))
    numbered = replace(named, port_name="", first=80, last=80, peers=(replace(peer, policies=(QUIET,)),))
    traffic = Traffic(EGRESS, SHIP, 80, {"http": 80})
    for filters, by_name in (((named,), True), ((named, numbered), False), ((numbered,), False)):
        known = replace(policy(), filters={EGRESS: filters})
        decision = endpoint_policy.decide(known, {"all": frozenset({SHIP})}, traffic)
        assert isinstance(decision, Decision)
        assert (decision.allowed, decision.by_port_name) == (True, by_name)


def test_without_policies_nothing_is_enforced() -> None:
    found = endpoint_policy.parse(answer("endpoint_policy", "no policy"))
    assert isinstance(found, EndpointPolicy)
    assert not found.enforced
    assert found.settled
    assert endpoint_policy.decide(found, {}, Traffic(INGRESS, SHIP, 80, {})) == Decision(allowed=True)


def test_unknown_selectors_decide_nothing() -> None:
    decision = endpoint_policy.decide(policy(), {}, Traffic(INGRESS, SHIP, 80, {}))
    assert isinstance(decision, Unavailable)


def test_rules_of_different_ranks_decide_nothing() -> None:
    ranked = replace(policy(), ranked=True)
    decision = endpoint_policy.decide(ranked, selections(), Traffic(INGRESS, SHIP, 80, {}))
    assert isinstance(decision, Unavailable)
    assert decision.reason == EvidenceError.UNSUPPORTED_CONFIGURATION


def test_a_policy_that_is_not_realized_is_not_settled() -> None:
    recorded = answer("endpoint_policy", "five policies")
    shown = json.loads(recorded.stdout)
    shown[0]["status"]["policy"]["spec"]["policy-revision"] += 1
    found = endpoint_policy.parse(printed(json.dumps(shown)))
    assert isinstance(found, EndpointPolicy)
    assert not found.settled


def test_audited_denials_are_distinguished() -> None:
    recorded = answer("endpoint_policy", "five policies")
    shown = json.loads(recorded.stdout)
    shown[0]["status"]["policy"]["realized"]["policy-enabled"] = "audit-both"
    found = endpoint_policy.parse(printed(json.dumps(shown)))
    assert isinstance(found, EndpointPolicy)
    assert found.audited
    assert found.enforced == {INGRESS, EGRESS}


def closing(direction: TrafficDirection) -> set[PolicyRef]:
    rules = policy_repository.parse(answer("policy_repository", "all"))
    assert not isinstance(rules, Unavailable)
    return set(policy_repository.closing(rules, direction, policy().labels))


def test_a_default_deny_names_all_policies_that_cause_it() -> None:
    assert closing(INGRESS) == {LAND, NO_EXHAUST, QUIET, L4_ONLY}  # x-nodd sets enableDefaultDeny: false
    assert closing(EGRESS) == {QUIET, L4_ONLY}


def test_policies_for_other_endpoints_cause_no_default_deny() -> None:
    rules = policy_repository.parse(answer("policy_repository", "all"))
    assert not isinstance(rules, Unavailable)
    assert policy_repository.closing(rules, INGRESS, ("k8s:class=ship",)) == ()


@pytest.mark.parametrize("key", ["any.class", "any:class", "k8s.class", "class"])
def test_the_entries_of_1_19_are_equivalent(key: str) -> None:
    """In the format of 1.19.5 (`pkg/policy/types/policyentry.go`), with a dot after the source of a label."""
    entry = {
        "Subject": {"matchLabels": {key: "deathstar"}},
        "Labels": [
            {"key": "io.cilium.k8s.policy.derived-from", "value": "NetworkPolicy", "source": "k8s"},
            {"key": "io.cilium.k8s.policy.name", "value": "quiet", "source": "k8s"},
            {"key": "io.cilium.k8s.policy.namespace", "value": "e2e", "source": "k8s"},
        ],
        "DefaultDeny": True,
        "Ingress": False,
        "Node": False,
    }
    others = [{**entry, "Node": True}, {**entry, "DefaultDeny": False, "Ingress": True}]
    rules = policy_repository.parse(printed(json.dumps({"policy": json.dumps([entry, *others])})))
    assert not isinstance(rules, Unavailable)
    labels = ("k8s:class=deathstar",)
    assert policy_repository.closing(rules, EGRESS, labels) == (PolicyRef("NetworkPolicy", "e2e", "quiet"),)
    assert policy_repository.closing(rules, INGRESS, labels) == ()


LABELS = ("k8s:class=deathstar", "k8s:org=empire", "reserved:host=")


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (Requirement("any", "class", "In", frozenset({"deathstar", "x"})), True),
        (Requirement("k8s", "class", "In", frozenset({"deathstar"})), True),
        (Requirement("container", "class", "In", frozenset({"deathstar"})), False),
        (Requirement("any", "class", "In", frozenset({"x"})), False),
        (Requirement("any", "class", "NotIn", frozenset({"x"})), True),
        (Requirement("any", "class", "NotIn", frozenset({"deathstar"})), False),
        (Requirement("any", "ship", "NotIn", frozenset({"x"})), True),
        (Requirement("any", "org", "Exists"), True),
        (Requirement("any", "ship", "Exists"), False),
        (Requirement("any", "ship", "DoesNotExist"), True),
        (Requirement("any", "org", "DoesNotExist"), False),
        (Requirement("reserved", "host", "Exists"), True),
    ],
)
def test_labels_meet_requirements_as_in_kubernetes(requirement: Requirement, met: bool) -> None:
    assert requirement.met_by(labels_of(LABELS)) is met


def test_a_policy_is_named_with_its_kind() -> None:
    assert str(LAND) == "CiliumNetworkPolicy e2e/land"
    assert str(NO_EXHAUST) == "CiliumClusterwideNetworkPolicy no-exhaust"
