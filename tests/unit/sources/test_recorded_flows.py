"""Events from Hubble on the lab, after requests that failed."""

from ipaddress import ip_address

import pytest

from datapath_probe.sources.flows import hubble
from datapath_probe.sources.flows.flow import Flow, Flows, Point
from unit.sources.golden import answer, fact


def flows(name: str) -> tuple[Flow, ...]:
    parsed = hubble.parse(answer("hubble", name))
    assert isinstance(parsed, Flows)
    assert parsed.lost == 0  # each of these rings was full and reported a lost event
    return parsed.flows


def seen(name: str) -> list[tuple[str, int, int, tuple[str, ...]]]:
    """The events in order of time: point or drop reason, source port, destination port, flags."""
    return [
        (flow.point or f"{flow.drop_code} {flow.file}", flow.source_port, flow.destination_port, flow.flags)
        for flow in sorted(flows(name), key=lambda flow: flow.at)
    ]


@pytest.mark.parametrize("name", ["missed tail call, source", "refused, destination"])
def test_the_builder_makes_the_recorded_fact(name: str) -> None:
    asked = fact("hubble", name)
    ip, port, since_s = ip_address(asked.text("address")), asked.number("port"), asked.number("since_s")
    assert hubble.connection(asked.node, ip, port, since_s) == asked


def test_the_source_sends_and_the_other_node_drops() -> None:
    assert seen("missed tail call, source") == [(Point.TO_OVERLAY, 23206, 80, ("SYN",))]
    assert seen("missed tail call, destination") == [("140 bpf_overlay.c", 23206, 80, ("SYN",))] * 2


def test_each_retransmitted_reply_is_dropped() -> None:
    first, *drops = seen("reply missed tail call, destination")
    assert first == (Point.TO_ENDPOINT, 23203, 80, ("SYN",))
    assert drops == [("140 bpf_lxc.c", 80, 23203, ("SYN", "ACK"))] * 5
    assert {flow.direction for flow in flows("reply missed tail call, destination")[1:]} == {"egress"}


def test_a_refusal_is_a_reset_observed_on_both_nodes() -> None:
    there, here = seen("refused, destination"), seen("refused, source")
    assert [point for point, *_ in there] == [Point.TO_ENDPOINT, Point.TO_OVERLAY]
    assert [point for point, *_ in here] == [Point.TO_OVERLAY, Point.TO_ENDPOINT]
    assert there[1][3] == here[1][3] == ("ACK", "RST")


def test_an_icmp_error_has_no_ports_and_has_a_type() -> None:
    [error] = flows("ICMP error")
    assert (error.protocol, error.source_port, error.destination_port) == ("ICMPv4", 0, 0)
    assert error.summary == "ICMPv4 TimeExceeded(TTLExceeded)"
    assert flows("no ICMP error") == ()


def test_the_newest_event_is_a_single_one() -> None:
    assert len(flows("newest")) == 1


@pytest.mark.parametrize(
    ("name", "code", "direction", "policies"),
    [
        ("denied by policy, destination", 181, "ingress", {"CiliumNetworkPolicy e2e/shields-up"}),
        ("denied by default, destination", 133, "ingress", set()),
        ("denied by policy, source", 181, "egress", {"CiliumNetworkPolicy e2e/grounded"}),
    ],
)
def test_a_denial_shows_as_verdict_and_as_drop(
    name: str, code: int, direction: str, policies: set[str]
) -> None:
    parsed = flows(name)
    assert {(flow.drop_code, flow.direction) for flow in parsed} == {(code, direction)}
    assert {flow.file for flow in parsed} == {"", "bpf_lxc.c"}  # a verdict has no file
    assert {policy for flow in parsed for policy in flow.policies} == policies
