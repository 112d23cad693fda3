"""Ordinary policies and settings, as many clusters have them: everything stays Healthy. Part of `make e2e-modes`.

Policies are files in manifests/policies. Settings are values of Cilium's chart, switched in place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.galaxy import Galaxy
from e2e.probes import Probes
from e2e.specs import SERVICE, landing, to_pod
from e2e.switch import SETTLED_S, switch
from e2e.test_destinations import assert_kinds_healthy, assert_node_ports
from e2e.test_destinations import kinds as kinds
from e2e.test_destinations import places as places
from e2e.waiting import until
from lab.cluster import Lab
from lab.settings import POD_CIDR, Mode, Settings

POLICIES = Path(__file__).parent / "manifests/policies"
REALIZED_S = 60.0

NATIVE = {"routingMode": "native", "autoDirectNodeRoutes": True, "ipv4NativeRoutingCIDR": POD_CIDR}
VALUES: dict[str, tuple[Mode, dict[str, Any]]] = {
    "maglev, per packet": (Mode.VXLAN, {"loadBalancer.algorithm": "maglev"}),
    "host firewall, per packet": (Mode.VXLAN, {"hostFirewall.enabled": True}),
    "policy audit mode": (Mode.VXLAN, {"policyAuditMode": True}),
    "no aggregation": (Mode.VXLAN, {"bpf.monitorAggregation": "none"}),
    # the operator registers the CRD when it starts
    "endpoint slices": (Mode.VXLAN, {"ciliumEndpointSlice.enabled": True, "operator.rollOutPods": True}),
    "sockets of hosts only": (Mode.PRODUCTION, {"socketLB.hostNamespaceOnly": True}),
    "maglev": (Mode.PRODUCTION, {"loadBalancer.algorithm": "maglev"}),
    "host firewall": (Mode.PRODUCTION, {"hostFirewall.enabled": True}),
    "maximum aggregation": (Mode.PRODUCTION, {"bpf.monitorAggregation": "maximum"}),
    "hosts route in the stack": (Mode.PRODUCTION, {"bpf.hostLegacyRouting": True}),
    "BPF TPROXY": (Mode.PRODUCTION, {"bpf.tproxy": True}),
    "DSR": (Mode.PRODUCTION, {"loadBalancer.mode": "dsr", **NATIVE}),
}
"""Mode, and the values on top of it."""

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("policy", [file.stem for file in sorted(POLICIES.glob("*.yaml"))])
@pytest.mark.parametrize("mode", [Mode.VXLAN, Mode.PRODUCTION])
def test_everything_stays_healthy_under_an_ordinary_policy(
    galaxy: Galaxy, probes: Probes, mode: Mode, policy: str
) -> None:
    switch(galaxy, Settings(mode=mode))
    with enforced(galaxy.lab, POLICIES / f"{policy}.yaml"):
        assert_ships_land(galaxy, probes)


@pytest.mark.parametrize("setting", VALUES)
def test_everything_stays_healthy_with_an_ordinary_setting(
    galaxy: Galaxy, probes: Probes, kinds: Probes, setting: str
) -> None:
    mode, values = VALUES[setting]
    switch(galaxy, Settings(mode=mode, values=values))
    assert_ships_land(galaxy, probes)
    assert_kinds_healthy(kinds)
    assert_node_ports(galaxy.lab, kinds)
    if "hostFirewall.enabled" in values:
        kinds.delete_all()
        with enforced(galaxy.lab, POLICIES / "host-policy.yaml"):
            assert_ships_land(galaxy, probes)
            assert_kinds_healthy(kinds)


@pytest.mark.parametrize("mode", [Mode.VXLAN, Mode.PRODUCTION])
def test_everything_stays_healthy_with_session_affinity(galaxy: Galaxy, probes: Probes, mode: Mode) -> None:
    switch(galaxy, Settings(mode=mode))
    with sticky(galaxy):
        assert_ships_land(galaxy, probes)


def assert_ships_land(galaxy: Galaxy, probes: Probes) -> None:
    """At the deathstar on their node, on the other node, and at their Service."""
    created = [
        probes.create(f"{ship}-{where}", spec)
        for ship in ("xwing", "tiefighter")
        for where, spec in {
            "near": to_pod(ship, galaxy.near(ship)),
            "far": to_pod(ship, galaxy.far(ship)),
            "service": landing(ship, SERVICE),
        }.items()
    ]
    for probe in created:
        probe.settle(SETTLED_S)
    probes.delete_all()


@contextmanager
def enforced(lab: Lab, policy: Path) -> Iterator[None]:
    """A policy that every endpoint enforces on entry, and that is gone on exit."""
    lab.kubectl("apply", "-f", str(policy))
    try:
        wait_realized(lab, policy, present=True)
        yield
    finally:
        lab.kubectl("delete", "-f", str(policy))
        wait_realized(lab, policy, present=False)


def wait_realized(lab: Lab, policy: Path, *, present: bool) -> None:
    """Wait until each agent has read the change and its endpoints have followed."""
    [*_, name] = [one["metadata"]["name"] for one in yaml.safe_load_all(policy.read_text())]

    def rules(node: str) -> str:
        return lab.agent_exec(node, "cilium-dbg", "policy", "get")

    def all_have_read() -> bool:
        return all((f'"value": "{name}"' in rules(node)) == present for node in lab.settings.node_names)

    until(f"all agents have read {name}", all_have_read, REALIZED_S)
    for node in lab.settings.node_names:
        revision = rules(node).split()[-1]
        lab.agent_exec(node, "cilium-dbg", "policy", "wait", revision)


@contextmanager
def sticky(galaxy: Galaxy) -> Iterator[None]:
    """The Service of the deathstars, with session affinity."""
    path = f"/api/v1/namespaces/{galaxy.namespace}/services/deathstar"
    galaxy.api.patch(path, {"spec": {"sessionAffinity": "ClientIP"}})
    try:
        yield
    finally:
        galaxy.api.patch(path, {"spec": {"sessionAffinity": "None", "sessionAffinityConfig": None}})
