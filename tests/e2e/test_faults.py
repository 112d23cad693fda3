"""Each fault is named with hop, node and reason. After the repair, the next run is Healthy."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from e2e import faults
from e2e.api import Object
from e2e.galaxy import Galaxy
from e2e.probes import RUN_S, Probe, Probes, brief, divergence, facts, hop
from e2e.specs import SERVICE, landing, to_pod
from faults.inject.in_place import Injected


@pytest.fixture(autouse=True)
def _at_rest(galaxy: Galaxy) -> None:
    galaxy.wait_at_rest()


def settled(probes: Probes, name: str, spec: Object) -> Probe:
    """A probe that is Healthy before the fault."""
    probe = probes.create(name, spec)
    probe.settle()
    return probe


def run_in(probe: Probe, fault: Callable[[], Injected]) -> Object:
    """The status of a run with the fault in place from start to end: the agent may repair some faults."""
    for _ in range(3):
        with fault() as is_in_place:
            status = probe.run_now()
            if is_in_place is None or is_in_place():
                return status
    raise AssertionError("the agent repairs this fault immediately")


def assert_healthy_again(probe: Probe) -> None:
    """The next run is Healthy."""
    status = probe.run_now()
    assert status["verdict"] == "Healthy", brief(status)


def test_a_missing_ipcache_entry_on_the_source_node_is_a_latent_fault(galaxy: Galaxy, probes: Probes) -> None:
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    probe = settled(probes, "ipcache-entry-missing", to_pod("xwing", star))
    status = run_in(probe, lambda: faults.deleted(faults.ipcache_entry(galaxy.lab, ship.node, star)))
    assert divergence(status) == ("Degraded", "ipcache-lookup", ship.node, "IpcacheEntryMissing")
    assert status["paths"][0]["request"]["httpStatus"] == 200
    world = "9" if galaxy.lab.settings.dual_stack else "2"  # reserved:world-ipv4, reserved:world
    assert facts(status, "ipcache-lookup", "programmed")["identity"] == world
    assert_healthy_again(probe)


def test_a_wrong_tunnel_endpoint_breaks_the_path(galaxy: Galaxy, probes: Probes) -> None:
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    probe = settled(probes, "wrong-tunnel-endpoint", to_pod("xwing", star))
    status = run_in(probe, lambda: faults.wrong_tunnel_endpoint(galaxy.lab, ship.node, star))
    assert divergence(status) == ("Broken", "ipcache-lookup", ship.node, "WrongTunnelEndpoint")
    assert facts(status, "ipcache-lookup", "programmed")["tunnelEndpoint"] == "172.30.0.99"
    assert_healthy_again(probe)


@pytest.mark.parametrize("ship", ["xwing", "tiefighter"])
@pytest.mark.parametrize("where", ["far", "near"])
def test_a_missing_endpoint_entry_is_not_attributed_to_the_application(
    galaxy: Galaxy, probes: Probes, ship: str, where: str
) -> None:
    star = galaxy.far(ship) if where == "far" else galaxy.near(ship)
    probe = settled(probes, f"endpoint-entry-missing-{ship}-{where}", to_pod(ship, star))
    status = run_in(probe, lambda: faults.deleted(faults.endpoint_entry(galaxy.lab, star)))
    assert divergence(status) == ("Broken", "endpoint-lookup", star.node, "EndpointEntryMissing")
    assert_healthy_again(probe)


@pytest.mark.parametrize("where", ["far", "near"])
def test_a_detached_program_is_named(galaxy: Galaxy, probes: Probes, where: str) -> None:
    ship = galaxy.pod("xwing")
    star = galaxy.far("xwing") if where == "far" else galaxy.near("xwing")
    probe = settled(probes, f"program-detached-{where}", to_pod("xwing", star))
    status = run_in(probe, lambda: faults.program_detached(galaxy.lab, ship))
    verdict, *blamed = divergence(status)
    assert verdict in ("Broken", "Degraded")  # the host may still route the packets
    assert blamed == ["source-program", ship.node, "ProgramMissing"]
    assert_healthy_again(probe)


@pytest.mark.parametrize("where", ["far", "near"])
def test_a_stopped_application_is_named(galaxy: Galaxy, probes: Probes, where: str) -> None:
    star = galaxy.far("xwing") if where == "far" else galaxy.near("xwing")
    probe = settled(probes, f"application-stopped-{where}", to_pod("xwing", star))
    with faults.application_stopped(galaxy, star):
        status = probe.run_now()
        assert divergence(status) == ("Broken", "destination-response", star.node, "ConnectionRefused")
        upstream = [one for one in status["paths"][0]["hops"] if one["name"] != "destination-response"]
        assert {one["verdict"] for one in upstream} == {"Ok"}
    assert_healthy_again(probe)


def test_a_probe_on_schedule_sees_fault_and_repair_within_one_interval(
    galaxy: Galaxy, probes: Probes
) -> None:
    interval_s = 3
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    spec = {**to_pod("xwing", star), "schedule": {"interval": f"{interval_s}s"}}
    probe = settled(probes, "on-schedule", spec)
    with faults.wrong_tunnel_endpoint(galaxy.lab, ship.node, star):
        status = probe.wait_for("Broken", interval_s + RUN_S)
        assert hop(status, "ipcache-lookup")["verdict"] == "Broken"
    repaired = datetime.now(UTC)
    status = probe.wait_for("Healthy", interval_s + RUN_S)
    since = [run for run in status["history"] if datetime.fromisoformat(run["time"]) > repaired]
    in_progress_at_the_repair = 1
    assert len([run for run in since if run["verdict"] != "Healthy"]) <= in_progress_at_the_repair


def test_a_service_without_ready_backends_is_named(galaxy: Galaxy, probes: Probes) -> None:
    ship = galaxy.pod("xwing")
    probe = settled(probes, "no-ready-backends", landing("xwing", SERVICE))
    with faults.scaled_to_zero(galaxy):
        expected = ("Broken", "service-lookup", ship.node, "NoReadyBackends")
        probe.run_until("the fault is named", lambda status: divergence(status) == expected)
    probe.settle()  # the operator has to observe the new pods first
