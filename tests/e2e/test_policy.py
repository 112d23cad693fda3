"""Policies: the denying policy is named, an expected denial must be observed, and a differing policy map is a fault."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.api import Object
from e2e.galaxy import Galaxy, Pod
from e2e.metrics import Metrics
from e2e.operator_deploy import Operator
from e2e.probes import RUN_S, Probe, Probes, brief, divergence, facts, hop
from e2e.specs import LANDING, SERVICE, to_pod
from e2e.waiting import until
from faults.inject.maps import deleted
from faults.inject.policies import Direction, allow_all_entry, enforced, policy

SHIPS, STARS = {"matchLabels": {"class": "xwing"}}, {"matchLabels": {"class": "deathstar"}}
HEALTHY = ""  # no reason
POLICIES = Path(__file__).parent / "manifests/policies"
DNS = {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}
FROM_SHIPS, TO_STARS = {"fromEndpoints": [SHIPS]}, {"toEndpoints": [STARS]}


@dataclass(frozen=True, slots=True)
class Denial:
    """A policy that denies the request. `decision`, `name`: how the status shows it."""

    kind: str
    spec: Object
    direction: Direction
    decision: str
    name: str


DENIALS = {
    "ingress, CiliumNetworkPolicy": Denial(
        "CiliumNetworkPolicy",
        {"endpointSelector": STARS, "enableDefaultDeny": {"ingress": False}, "ingressDeny": [FROM_SHIPS]},
        Direction.INGRESS,
        "deny",
        "CiliumNetworkPolicy e2e/faults",
    ),
    "ingress, CiliumClusterwideNetworkPolicy": Denial(
        "CiliumClusterwideNetworkPolicy",
        {"endpointSelector": STARS, "enableDefaultDeny": {"ingress": False}, "ingressDeny": [FROM_SHIPS]},
        Direction.INGRESS,
        "deny",
        "CiliumClusterwideNetworkPolicy faults",
    ),
    "ingress, NetworkPolicy without rules": Denial(
        "NetworkPolicy",
        {"podSelector": STARS, "policyTypes": ["Ingress"]},
        Direction.INGRESS,
        "default deny",
        "NetworkPolicy e2e/faults",
    ),
    "egress, CiliumNetworkPolicy": Denial(
        "CiliumNetworkPolicy",
        {"endpointSelector": SHIPS, "enableDefaultDeny": {"egress": False}, "egressDeny": [TO_STARS]},
        Direction.EGRESS,
        "deny",
        "CiliumNetworkPolicy e2e/faults",
    ),
}


@pytest.fixture(autouse=True)
def _at_rest(galaxy: Galaxy) -> None:
    galaxy.wait_at_rest()


def denied(spec: Object) -> Object:
    """The same request with an expected denial."""
    return {**spec, "expect": {"outcome": "Denied"}}


def wait_for_reason(probe: Probe, reason: str, fits: Callable[[Object], bool] = lambda _: True) -> Object:
    """The first status with this reason ("": Healthy) that fits. Runs may lack evidence while an agent realizes a
    policy or the machine is busy.
    """

    def matches(status: Object) -> bool:
        return status.get("reason", "") == reason and fits(status)

    probe.wait("first run", lambda status: "verdict" in status, 2 * RUN_S)

    def check() -> Object | None:
        status = probe.status()
        if not matches(status):
            status = probe.run_now()
        return status if matches(status) else None

    return until(f"{probe.name}: {reason}", check, 60, otherwise=lambda: brief(probe.status()))


@pytest.mark.parametrize("denial", DENIALS.values(), ids=DENIALS.keys())
def test_a_denial_is_observed_and_its_policy_named(
    galaxy: Galaxy, probes: Probes, operator: Operator, denial: Denial
) -> None:
    assert_denial(galaxy, probes, operator, denial)


def assert_denial(galaxy: Galaxy, probes: Probes, operator: Operator, denial: Denial) -> None:
    """A probe that expects the denial is Healthy; another one is Broken at the hop of this policy."""
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    owner, peer = (star, ship) if denial.direction is Direction.INGRESS else (ship, star)
    made = policy(denial.kind, denial.spec)
    with enforced(galaxy.lab, galaxy.api, made, owner, denial.direction, peer.identity):
        expecting = probes.create("expects-denial", denied(to_pod("xwing", star)))
        unexpecting = probes.create("expects-delivery", to_pod("xwing", star))
        where = f"{denial.direction.name.lower()}-policy"
        # the agent's list of policies may be 30 s old
        status = wait_for_reason(expecting, HEALTHY, lambda status: denial.name in status["summary"])
        assert_denied_as_expected(status, owner, denial)
        assert success(operator.metrics(), expecting) == 1
        status = wait_for_reason(unexpecting, "PolicyDenied", lambda status: denial.name in status["summary"])
        assert divergence(status) == ("Broken", where, owner.node, "PolicyDenied"), brief(status)
        assert denial.name in status["divergentHop"]["message"]


def assert_denied_as_expected(status: Object, owner: Pod, denial: Denial) -> None:
    """Healthy, and the path ends at the hop that denied."""
    assert status["verdict"] == "Healthy", brief(status)
    assert denial.name in status["summary"]
    [met] = [one for one in status["conditions"] if one["type"] == "ExpectationMet"]
    assert (met["status"], met["reason"]) == ("True", "Denied")
    last = status["paths"][0]["hops"][-1]
    where = f"{denial.direction.name.lower()}-policy"
    assert (last["name"], last["node"], last["verdict"]) == (where, owner.node, "Ok")
    meant = facts(status, where, "intent")
    assert (meant["decision"], meant["policies"]) == (denial.decision, denial.name)
    assert facts(status, where, "observed")["drop"].startswith("Policy denied")


def success(metrics: Metrics, probe: Probe) -> float | None:
    return metrics.value("datapath_probe_success", namespace=probe.namespace, probe=probe.name)


def test_an_allowed_connection_with_an_expected_denial_is_not_enforced(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    star = galaxy.far("xwing")
    probe = probes.create("not-enforced", denied(to_pod("xwing", star)))
    status = wait_for_reason(probe, "PolicyNotEnforced")
    assert divergence(status) == ("Broken", "ingress-policy", star.node, "PolicyNotEnforced"), brief(status)
    assert success(operator.metrics(), probe) == 0


def test_a_refused_connection_is_not_a_denial(galaxy: Galaxy, probes: Probes) -> None:
    probe = probes.create("refused", denied(to_pod("xwing", galaxy.far("xwing"), port=81)))
    status = wait_for_reason(probe, "DenialNotObserved")
    assert status["verdict"] == "Unknown"
    assert "refused" in status["summary"]


def test_a_failed_dns_lookup_is_not_a_denial(galaxy: Galaxy, probes: Probes) -> None:
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    spec = {"endpointSelector": SHIPS, "egressDeny": [{"toEndpoints": [DNS]}, TO_STARS]}
    deny_dns = policy("CiliumNetworkPolicy", spec)
    with enforced(galaxy.lab, galaxy.api, deny_dns, ship, Direction.EGRESS, star.identity):
        to_service = {"source": {"pod": "xwing"}, "destination": SERVICE, "request": LANDING}
        status = wait_for_reason(probes.create("no-name", denied(to_service)), "DenialNotObserved")
        assert status["verdict"] == "Unknown"


def test_a_policy_map_that_denies_without_a_policy_is_distinguished(galaxy: Galaxy, probes: Probes) -> None:
    star = galaxy.far("xwing")
    with deleted(allow_all_entry(galaxy.lab, star, Direction.INGRESS)):
        status = wait_for_reason(probes.create("map-differs", to_pod("xwing", star)), "PolicyMapMismatch")
        expected = ("Broken", "ingress-policy", star.node, "PolicyMapMismatch")
        assert divergence(status) == expected, brief(status)
        assert hop(status, "ingress-policy")["evidence"]["intent"]["facts"]["decision"] == "allow"


def test_a_port_name_that_cilium_ignores_is_no_fault_of_the_map(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    """Two pods of the cluster give the name of the port different numbers: its rule for egress does not apply."""
    lab, namespace = galaxy.lab, ("-n", galaxy.namespace)
    probe = probes.create("by-port-name", to_pod("xwing", galaxy.far("xwing")))
    lab.kubectl("apply", "-f", str(POLICIES / "named-ports-egress.yaml"))
    try:
        wait_for_reason(probe, HEALTHY)
        lab.kubectl("apply", *namespace, "-f", str(POLICIES.parent / "other-landing-bay.yaml"))
        status = wait_for_reason(probe, "PolicyDenied")
        assert divergence(status)[1] == "egress-policy", brief(status)
        assert "Cilium ignores the name of a port that has several numbers" in status["summary"]
    finally:
        lab.kubectl("delete", "--ignore-not-found", *namespace, "pod/other-landing-bay")
        lab.kubectl("delete", "-f", str(POLICIES / "named-ports-egress.yaml"))
    wait_for_reason(probe, HEALTHY)
