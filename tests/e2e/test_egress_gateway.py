"""Egress gateways: no policy for the pod, a gateway on its node, one on another node, and a policy without a gateway.

Part of `make e2e-modes`.
"""

from contextlib import AbstractContextManager

import pytest

from e2e.api import Object
from e2e.galaxy import Galaxy, Pod
from e2e.probes import Probe, Probes, brief, divergence, facts
from e2e.switch import SETTLED_S, switch
from faults.inject import objects
from faults.inject.policies import CILIUM
from lab import outside
from lab.settings import OUTSIDE_IP, Mode, Settings

SHIP = "xwing"
# The Cilium operator registers the CRD of the policies when it starts.
_VALUES = {"egressGateway.enabled": True, "operator.rollOutPods": True}
WITH_GATEWAYS = Settings(mode=Mode.PRODUCTION, values=_VALUES)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def leaving(galaxy: Galaxy, probes: Probes) -> Probe:
    switch(galaxy, WITH_GATEWAYS)
    probe = probes.create(
        "leaving",
        {
            "source": {"pod": SHIP},
            "destination": {"address": {"host": OUTSIDE_IP, "port": outside.PORT}},
            "request": {"path": "/v1/", "timeout": "2s"},
        },
    )
    probe.settle(SETTLED_S)
    return probe


def test_a_gateway_on_the_source_s_node_is_judged(leaving: Probe, galaxy: Galaxy) -> None:
    lab, ship = galaxy.lab, galaxy.pod(SHIP)
    with gateway(galaxy, ship, ship.node):
        status = leaving.run_until("Healthy", lambda status: status["verdict"] == "Healthy")
    assert facts(status, "masquerade", "programmed")["gateway"] == lab.node(ship.node).ip
    assert facts(status, "masquerade", "observed")["source"] == lab.node(ship.node).ip


def test_a_gateway_on_another_node_is_not_followed(leaving: Probe, galaxy: Galaxy) -> None:
    lab, ship = galaxy.lab, galaxy.pod(SHIP)
    other = next(node for node in lab.settings.node_names if node != ship.node)
    with gateway(galaxy, ship, other):
        status = leaving.run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", "UnsupportedConfiguration"), brief(status)
    assert f"through the node with address {lab.node(other).ip}" in status["summary"]
    assert status["paths"][0]["request"]["httpStatus"] == 200


def test_a_policy_without_a_gateway_is_named(leaving: Probe, galaxy: Galaxy) -> None:
    ship = galaxy.pod(SHIP)
    with gateway(galaxy, ship, "no-such-node"):
        status = leaving.run_now()
    assert divergence(status) == ("Broken", "masquerade", ship.node, "NoEgressGateway"), brief(status)
    leaving.run_until("Healthy", lambda status: status["verdict"] == "Healthy")


def gateway(galaxy: Galaxy, ship: Pod, node: str) -> AbstractContextManager[object]:
    """A policy that sends packets of the ship out through this node, until exit; the ship's node has read both."""

    def has_entry() -> bool:
        return ship.ip in galaxy.lab.agent_exec(ship.node, "cilium-dbg", "bpf", "egress", "list")

    return objects.created(galaxy.api, f"{CILIUM}/ciliumegressgatewaypolicies", policy(node), has_entry)


def policy(node: str) -> Object:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumEgressGatewayPolicy",
        "metadata": {"name": "leaving"},
        "spec": {
            "selectors": [{"podSelector": {"matchLabels": {"class": SHIP}}}],
            "destinationCIDRs": [f"{OUTSIDE_IP}/32"],
            "egressGateway": {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}},
        },
    }
