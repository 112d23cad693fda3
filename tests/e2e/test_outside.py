"""Destinations outside the cluster: the path is judged as far as the node, and no further."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from e2e.api import Api, Object
from e2e.galaxy import NAMESPACE, Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, brief, divergence, facts
from faults.inject import netfilter
from faults.inject.outside import firewall
from lab import outside
from lab.cluster import Lab
from lab.paths import STATE
from lab.settings import OUTSIDE_IP, Mode

SHIP = "xwing"


@pytest.fixture
def leaving(api: Api, galaxy: Galaxy, operator: Operator) -> Iterator[Probes]:
    made = Probes(api, NAMESPACE)
    yield made
    made.delete_all()


def probe(leaving: Probes, name: str, host: str, path: str = "/v1/") -> Probe:
    request: Object = {"path": path, "timeout": "2s"}
    destination = {"address": {"host": host, "port": outside.PORT}}
    return leaving.create(name, {"source": {"pod": SHIP}, "destination": destination, "request": request})


def test_packets_leave_with_the_address_that_the_server_sees(leaving: Probes, lab: Lab) -> None:
    path = f"/echo/{uuid4()}"
    status = probe(leaving, "outside", outside.HOST_NAME, path).settle()
    assert status["verdict"] == "Healthy", brief(status)
    log = (STATE / "log/outside-http.log").read_text()
    # the server listens for both versions of IP
    seen = {line.split()[0].removeprefix("::ffff:") for line in log.splitlines() if path in line}
    assert seen == {facts(status, "masquerade", "observed")["source"]}
    (node,) = {hop["node"] for hop in status["paths"][0]["hops"]}
    assert seen == {lab.node(node).ip}


def test_what_is_lost_beyond_the_node_is_not_blamed_on_it(leaving: Probes) -> None:
    one = probe(leaving, "firewalled", outside.HOST_NAME)
    one.settle()
    with firewall("-d", OUTSIDE_IP, "-p", "tcp", "--dport", str(outside.PORT), "-j", "DROP"):
        status = one.run_now()
    assert (status["verdict"], status["reason"]) == ("Broken", "LostOutsideCluster"), brief(status)
    assert "divergentHop" not in status
    assert status["segment"]["after"] == "cluster-exit"
    assert "the packets left the cluster at eth0 of" in status["summary"]


def test_packets_that_are_not_masqueraded_are_named(leaving: Probes, lab: Lab, galaxy: Galaxy) -> None:
    if lab.settings.mode is Mode.PRODUCTION:
        pytest.skip("netfilter does not masquerade here")
    one, ship = probe(leaving, "unmasqueraded", OUTSIDE_IP), galaxy.pod(SHIP)
    one.settle()
    of_packet = ("-s", ship.ip, "-d", OUTSIDE_IP, "-j", "ACCEPT")
    with netfilter.rule(lab, ship.node, "POSTROUTING", *of_packet, table="nat"):
        status = one.run_now()
    assert divergence(status) == ("Broken", "masquerade", ship.node, "NotMasqueraded"), brief(status)


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1"])
def test_addresses_that_mean_more_than_a_host_are_not_requested(leaving: Probes, host: str) -> None:
    status = probe(leaving, "forbidden", host).run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", "AddressForbidden"), brief(status)
    assert "--allow-addresses" in status["summary"]
