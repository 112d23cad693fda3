"""Every datapath mode, switched in place, and an upgrade of Cilium while probes run: `make e2e-modes`.

Not part of `make e2e`: it switches the lab through all its settings.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from e2e.api import Object
from e2e.galaxy import Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, brief
from e2e.specs import SERVICE, landing, to_pod
from e2e.switch import SETTLED_S, switch
from e2e.test_destinations import assert_kinds_healthy, assert_node_ports
from e2e.test_destinations import kinds as kinds
from e2e.test_destinations import places as places
from e2e.test_policy import DENIALS, assert_denial
from lab import lifecycle
from lab.settings import Attach, Mode, Settings

OLD, NEW = "1.18.5", "1.19.5"
VXLAN, KPR, NATIVE = Settings(), Settings(mode=Mode.KPR), Settings(mode=Mode.NATIVE)
PRODUCTION = Settings(mode=Mode.PRODUCTION)
MODES = {
    "vxlan": VXLAN,
    "vxlan-tc": replace(VXLAN, attach=Attach.TC),
    "kpr": KPR,
    "native": NATIVE,
    "endpoint-routes": replace(VXLAN, endpoint_routes=True),
    "no-hubble": replace(VXLAN, hubble=False),
    "production": PRODUCTION,
    "1.19-vxlan": replace(VXLAN, cilium=NEW),
    "1.19-vxlan-tc": replace(VXLAN, cilium=NEW, attach=Attach.TC),
    "1.19-endpoint-routes": replace(VXLAN, cilium=NEW, endpoint_routes=True),
    "1.19-kpr": replace(KPR, cilium=NEW),
    "1.19-native": replace(NATIVE, cilium=NEW),
    "1.19-production": replace(PRODUCTION, cilium=NEW),
}
OVERLAY = {"overlay-encapsulation", "overlay-decapsulation", "reply-encapsulation", "reply-decapsulation"}

pytestmark = pytest.mark.timeout(900)


def specs(galaxy: Galaxy, ship: str) -> dict[str, Object]:
    """To the deathstar on the ship's node, to the one on the other node, and to their Service."""
    return {
        "near": to_pod(ship, galaxy.near(ship)),
        "far": to_pod(ship, galaxy.far(ship)),
        "service": landing(ship, SERVICE),
    }


def hops(status: Object) -> set[str]:
    return {hop["name"] for hop in status["paths"][0]["hops"]}


@pytest.mark.parametrize("mode", MODES)
def test_every_path_of_a_mode_is_healthy_and_has_its_hops(galaxy: Galaxy, probes: Probes, mode: str) -> None:
    settings = MODES[mode]
    switch(galaxy, settings)
    for ship in ("xwing", "tiefighter"):
        for where, spec in specs(galaxy, ship).items():
            status = probes.create(f"{mode}-{ship}-{where}", spec).settle(SETTLED_S)
            seen = hops(status)
            if where != "service":
                assert bool(seen & OVERLAY) == (where == "far" and settings.tunneled), brief(status)
                assert ("node-routing" in seen) == (where == "far"), brief(status)
            else:
                assert ("reply-translation" in seen) == settings.balances_per_packet, brief(status)


@pytest.mark.parametrize(
    "mode", ["kpr", "native", "endpoint-routes", "no-hubble", "production", "1.19-vxlan"]
)
def test_a_denial_is_observed_and_its_policy_named_in_a_mode(
    galaxy: Galaxy, probes: Probes, operator: Operator, mode: str
) -> None:
    switch(galaxy, MODES[mode])
    for denial in DENIALS.values():
        assert_denial(galaxy, probes, operator, denial)
        probes.delete_all()


def test_a_path_change_is_described(galaxy: Galaxy, probes: Probes) -> None:
    """One probe, during switches that keep its pods."""
    switch(galaxy, VXLAN)
    probe = probes.create(
        "profile", landing("xwing", {"pod": {"name": galaxy.far("xwing").name, "port": 80}})
    )
    probe.settle(SETTLED_S)
    for settings, words in ((MODES["vxlan-tc"], "attach mode tcx → tc"), (NATIVE, "routing vxlan → native")):
        switch(galaxy, settings)
        status = probe.settle(SETTLED_S)
        changes = " ".join(run.get("pathChange", "") for run in status["history"])
        assert words in changes, brief(status)


@pytest.mark.parametrize("mode", ["kpr", "native", "production"])
def test_every_kind_of_source_and_destination_is_healthy_in_a_mode(
    galaxy: Galaxy, kinds: Probes, mode: str
) -> None:
    switch(galaxy, MODES[mode])
    assert_kinds_healthy(kinds)
    assert_node_ports(galaxy.lab, kinds)


def test_an_upgrade_in_place_is_never_reported_as_broken(galaxy: Galaxy, probes: Probes) -> None:
    """Every run during the upgrade is Healthy, or Unknown because of a transition or an agent that is not ready:
    failures then prove nothing.
    """
    switch(galaxy, MODES["vxlan"])
    often = {"schedule": {"interval": "2s"}, "history": {"limit": 50}}
    running = [
        probes.create(f"upgrade-{where}", {**spec, **often}) for where, spec in specs(galaxy, "xwing").items()
    ]
    for probe in running:
        probe.settle(SETTLED_S)
    began = datetime.now(UTC)
    lifecycle.up(replace(VXLAN, cilium=NEW))
    upgraded = datetime.now(UTC)
    for probe in running:
        status = healthy_since(probe, upgraded)
        runs = [run for run in status["history"] if datetime.fromisoformat(run["time"]) > began]
        assert len(runs) > 1, brief(status)
        unhealthy = {(run["verdict"], run.get("reason")) for run in runs if run["verdict"] != "Healthy"}
        assert unhealthy <= {("Unknown", "InTransition"), ("Unknown", "AgentNotReady")}, runs


def healthy_since(probe: Probe, moment: datetime) -> Object:
    """The status of a Healthy run that began after this moment."""

    def is_healthy(status: Object) -> bool:
        return (
            status["verdict"] == "Healthy" and datetime.fromisoformat(status["lastRun"]["startTime"]) > moment
        )

    return probe.wait("Healthy again", is_healthy, SETTLED_S)
