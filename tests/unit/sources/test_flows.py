"""Events in the output of `hubble` and `cilium-dbg monitor`, derived from their sources. `test_recorded_flows` has the
output of the lab.
"""

import json
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.flows import hubble, monitor
from datapath_probe.sources.flows.flow import Flow, Flows, Point
from unit.sources.golden import printed

SYN = {"TCP": {"source_port": 20000, "destination_port": 80, "flags": {"SYN": True}}}
BETWEEN = {"source": "10.0.1.1", "destination": "10.0.0.2", "ipVersion": "IPv4"}
AT = "2026-11-23T21:00:00.123456789Z"


def line(**flow: object) -> str:
    return json.dumps({"flow": {"IP": BETWEEN, "l4": SYN, **flow}, "node_name": "n", "time": AT})


def only(text: str) -> Flow:
    flows = hubble.parse(printed(text))
    assert isinstance(flows, Flows)
    [flow] = flows.flows
    return flow


def test_a_forwarded_packet() -> None:
    flow = only(line(verdict="FORWARDED", trace_observation_point="TO_OVERLAY", event_type={"type": 4}))
    assert flow == Flow(
        at=1795467600.123456,
        protocol="TCP",
        source=ip_address("10.0.1.1"),
        source_port=20000,
        destination=ip_address("10.0.0.2"),
        destination_port=80,
        point=Point.TO_OVERLAY,
        flags=("SYN",),
    )


def test_a_dropped_packet() -> None:
    flow = only(
        line(
            verdict="DROPPED",
            drop_reason=151,
            drop_reason_desc="STALE_OR_UNROUTABLE_IP",
            file={"name": "bpf_host.c", "line": 1200},
            traffic_direction="INGRESS",
        )
    )
    assert (flow.drop_code, flow.file, flow.direction, flow.point) == (151, "bpf_host.c", "ingress", None)


def test_a_denial_names_its_policies() -> None:
    policy = {"name": "deny-xwing", "namespace": "e2e", "kind": "CiliumNetworkPolicy"}
    flow = only(line(drop_reason=181, ingress_denied_by=[policy], egress_allowed_by=[{"name": "for-all"}]))
    assert flow.policies == ("for-all", "CiliumNetworkPolicy e2e/deny-xwing")


def test_an_icmp_error_has_no_ports() -> None:
    flow = only(line(l4={"ICMPv4": {"type": 3, "code": 1}}, Summary="ICMPv4 DestinationUnreachable(Host)"))
    assert (flow.protocol, flow.source_port, flow.summary[:6]) == ("ICMPv4", 0, "ICMPv4")


@pytest.mark.parametrize(
    ("source", "lost"),
    [("HUBBLE_RING_BUFFER", 0), ("PERF_EVENT_RING_BUFFER", 7), ("OBSERVER_EVENTS_QUEUE", 7)],
)
def test_lost_events_of_the_ring_do_not_count(source: str, lost: int) -> None:
    text = json.dumps({"lost_events": {"source": source, "num_events_lost": "7"}, "node_name": "n"})
    assert hubble.parse(printed(f"{line()}\n{text}\n")) == Flows((only(line()),), lost)


def test_empty_output_means_no_events() -> None:
    assert hubble.parse(printed("")) == Flows(())
    assert hubble.parse(printed('{"node_status":{"state_change":"NODE_CONNECTED"}}\n')) == Flows(())


def test_an_unreachable_hubble_is_unavailable() -> None:
    failed = hubble.parse(printed("", 1, "failed to connect to 'unix:///var/run/cilium/hubble.sock'"))
    assert isinstance(failed, Unavailable)
    assert failed.reason == EvidenceError.COMMAND_FAILED


@given(st.binary())
def test_garbage_never_raises(garbage: bytes) -> None:
    for parse in (hubble.parse, monitor.parse):
        for answer in (printed(garbage), printed(line().encode() + b"\n" + garbage)):
            assert isinstance(parse(answer), Flows | Unavailable)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "flow",
                        "time",
                        "IP",
                        "l4",
                        "TCP",
                        "flags",
                        "source",
                        "drop_reason",
                        "type",
                        "summary",
                        "l3",
                    ]
                ),
                x,
            )
        ),
    )
)
def test_odd_json_never_raises(value: object) -> None:
    for parse in (hubble.parse, monitor.parse):
        assert isinstance(parse(printed(json.dumps(value))), Flows | Unavailable)


DROP = {
    "cpu": "CPU 01:",
    "type": "drop",
    "mark": "0x1",
    "reason": "Policy denied",
    "source": 689,
    "dstID": 689,
    "File": 2,
    "Line": 2138,
    "summary": {
        "tcp": "TCP\t{SrcPort=20000 …}",
        "l3": {"src": "10.0.1.1", "dst": "10.0.0.2"},
        "l4": {"src": "20000", "dst": "80(http)"},
    },
}
VERDICT = (
    "Policy verdict log: flow 0x1 local EP ID 689, remote ID 27728, proto 6, ingress, action deny, auth: disabled, "
    "match none, 10.0.1.1:20000 -> 10.0.0.2:80 tcp SYN"
)


def test_the_monitor_prints_drops_as_json_and_verdicts_as_text() -> None:
    banner = "Listening for events on 2 CPUs with 64x4096 of shared memory\nPress Ctrl-C to quit\n"
    flows = monitor.parse(printed(f"{banner}{VERDICT}\n{json.dumps(DROP)}\nCPU 01: Lost 3 events\n", 124))
    assert isinstance(flows, Flows)
    verdict, drop = flows.flows
    for flow in (verdict, drop):
        ends = flow.source, flow.source_port, flow.destination, flow.destination_port
        assert ends == (ip_address("10.0.1.1"), 20000, ip_address("10.0.0.2"), 80)
        assert (flow.drop_code, flow.direction, flow.file) == (133, "ingress", "bpf_lxc.c")
    assert flows.lost == 3


def test_the_monitor_prints_addresses_of_ipv6_in_brackets() -> None:
    verdict = VERDICT.replace("10.0.1.1", "[fd00::1:1]").replace("10.0.0.2", "[fd00::2]")
    drop = json.dumps(DROP).replace("10.0.1.1", "fd00::1:1").replace("10.0.0.2", "fd00::2")
    flows = monitor.parse(printed(f"{verdict}\n{drop}\n", 124))
    assert isinstance(flows, Flows)
    ends = [(flow.source, flow.source_port, flow.destination, flow.destination_port) for flow in flows.flows]
    assert ends == [(ip_address("fd00::1:1"), 20000, ip_address("fd00::2"), 80)] * 2


TRACE = {
    "cpu": "CPU 01:",
    "type": "trace",
    "mark": "0x1",
    "ifindex": "lxc1",
    "state": "established",
    "observationPoint": "to-overlay",
    "traceSummary": "-> overlay",
    "source": 689,
    "dstID": 0,
    "summary": {
        "tcp": "TCP\t{SrcPort=20000 DstPort=80(http) SYN=true …}",
        "l3": {"src": "10.0.1.1", "dst": "10.0.0.2"},
        "l4": {"src": "20000", "dst": "80"},
    },
}


def test_the_monitor_prints_where_packets_were_observed() -> None:
    points = ["to-endpoint", "to-overlay", "to-stack", "to-network", "from-overlay"]
    lines = [json.dumps({**TRACE, "observationPoint": point}) for point in points]
    flows = monitor.parse(printed("\n".join(lines), 124))
    assert isinstance(flows, Flows)
    assert [flow.point for flow in flows.flows] == ["TO_ENDPOINT", "TO_OVERLAY", "TO_STACK", "TO_NETWORK"]
    for flow in flows.flows:
        ends = flow.source, flow.source_port, flow.destination, flow.destination_port
        assert ends == (ip_address("10.0.1.1"), 20000, ip_address("10.0.0.2"), 80)
        assert (flow.drop_code, flow.flags) == (None, ())


def test_a_line_that_is_cut_off_is_skipped() -> None:
    flows = monitor.parse(printed(f"{json.dumps(DROP)}\n{json.dumps(DROP)[:50]}", 124))
    assert isinstance(flows, Flows)
    assert len(flows.flows) == 1


def test_an_allowed_packet_is_not_a_drop() -> None:
    assert monitor.parse(printed(VERDICT.replace("deny", "allow"), 124)) == Flows(())
