"""Facts: their parameters, and that equal facts share one identity."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import PARAMETERS, FactKind
from datapath_probe.sources.flows import monitor
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps import lxcmap
from datapath_probe.sources.netfilter import iptables
from datapath_probe.sources.packet import Packet


def test_each_kind_has_its_parameters_and_its_delivery() -> None:
    assert set(PARAMETERS) == set(FactKind)
    for kind, parameters in PARAMETERS.items():
        if not parameters.required:
            assert delivery(Fact(kind, "node1")).tool


def test_equal_facts_have_one_canonical_form() -> None:
    fact = Fact.of(FactKind.NEIGHBOR, "node1", address="FD00::0:1", device="eth0")
    other = Fact(FactKind.NEIGHBOR, "node1", (("device", "eth0"), ("address", "fd00::1")))
    assert fact == other
    assert hash(fact) == hash(other)
    assert {fact: 1}[other] == 1


def test_another_node_or_another_parameter_is_another_fact() -> None:
    assert lxcmap.lookup("n", ip_address("10.0.0.1")) != lxcmap.lookup("m", ip_address("10.0.0.1"))
    assert lxcmap.lookup("n", ip_address("10.0.0.1")) != lxcmap.lookup("n", ip_address("10.0.0.2"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "lacks its parameter device"),
        ({"device": "eth0", "port": 1}, "has no parameter port"),
        ({"device": 1}, "not the name of a network device"),
        ({"device": "eth0", "namespace": "../x"}, "not the name of a network namespace"),
    ],
)
def test_an_unknown_missing_or_invalid_parameter_is_rejected(
    parameters: dict[str, str | int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Fact.of(FactKind.LINK, "node1", **parameters)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (FactKind.SERVICE_BACKEND, {"id": 1, "family": 5}),
        (FactKind.SERVICE_BACKEND, {"id": "1", "family": 4}),
        (FactKind.MONITOR_TRACES, {"endpoints": (), "window_s": 4}),
        (FactKind.MONITOR_TRACES, {"endpoints": "12", "window_s": 4}),
        (FactKind.HUBBLE_SOCKET, {"path": "hubble.sock"}),
        (FactKind.HUBBLE_SOCKET, {"path": "/hubble\0.sock"}),
        (FactKind.PINNED_MAP, {"map": "../cilium_lxc"}),
        (FactKind.ENDPOINT_ENTRY, {"address": 1}),
    ],
)
def test_values_are_typed(kind: FactKind, parameters: dict[str, str | int]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each says it in its own words
        Fact.of(kind, "node1", **parameters)


def test_the_text_of_a_fact_is_one_line() -> None:
    packet = Packet("tcp", ip_address("10.0.0.1"), ip_address("10.0.0.2"), 80, 20001)
    assert str(links.arrival("node1", packet, "eth0")) == (
        "route on node1 (destination 10.0.0.2, source 10.0.0.1, input_device eth0, protocol tcp, "
        "source_port 20001, destination_port 80)"
    )


def test_a_parameter_that_is_not_set_cannot_be_read() -> None:
    fact = links.link("node1", "eth0")
    assert fact.get("namespace") is None
    with pytest.raises(KeyError):
        fact.text("namespace")
    with pytest.raises(KeyError):
        fact.number("device")


def test_devices_that_lead_to_other_nodes_change_rarely() -> None:
    ages_s = {
        device: delivery(links.link("n", device)).max_age_s for device in ("eth0", "lxc1", "cilium_vxlan")
    }
    assert ages_s["eth0"] > 1 > ages_s["lxc1"] == ages_s["cilium_vxlan"]
    assert delivery(links.pod_link("n", "cni-1", "eth0")).max_age_s < 1


def test_facts_about_events_wait_for_their_window_and_are_not_repeated() -> None:
    for fact in (monitor.fact("n", 4), monitor.traces("n", (689, 580), 4)):
        assert delivery(fact).timeout_s > 5
        assert not delivery(fact).repeatable


def test_rules_of_a_node_are_never_shared() -> None:
    assert delivery(iptables.fact("n")).max_age_s == 0
    assert delivery(iptables.fact("n", "cni-1")).max_age_s > 0
