"""Whatever a program prints, a parser returns a record, an absence or the reason why there is neither, and never
confuses them.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Answer, Reading, Unavailable
from datapath_probe.sources import netns
from datapath_probe.sources.agent import (
    agent_config,
    agent_endpoint,
    bpf_metrics,
    endpoint_policy,
    policy_repository,
    policy_selectors,
)
from datapath_probe.sources.bpf import bpftool, map_layout
from datapath_probe.sources.client_report import ClientReport
from datapath_probe.sources.curl.report import parse_report as parse_curl_report
from datapath_probe.sources.flows import hubble, monitor
from datapath_probe.sources.flows.flow import Flows
from datapath_probe.sources.iproute2 import links, neighbors, qdisc, ss, tc_filters, uptime
from datapath_probe.sources.maps import (
    conntrack,
    egress_gateway,
    ipcache,
    ipmasq,
    lbmap,
    lxcmap,
    natmap,
    policymap,
)
from datapath_probe.sources.netfilter import iptables
from unit.sources.golden import everything, printed

MAPS: dict[str, tuple[Callable[[Reading], object], type]] = {
    "ipcache": (ipcache.parse, ipcache.IpcacheRecord),
    "endpoint": (lxcmap.parse, lxcmap.EndpointRecord),
    "slot": (lbmap.parse_slot, lbmap.ServiceSlot),
    "backend": (lbmap.parse_backend, lbmap.BackendRecord),
    "reverse NAT": (lbmap.parse_revnat, lbmap.RevNatRecord),
    "conntrack": (conntrack.parse, conntrack.CtEntry),
    "NAT": (natmap.parse, natmap.NatEntry),
    "egress gateway": (egress_gateway.parse, egress_gateway.EgressGateway),
    "policy": (policymap.parse, policymap.PolicyEntry),
    "call": (bpftool.parse_call, int),
}
PARSERS = MAPS | {
    "ip-masq-agent": (ipmasq.parse, bool),
    "map id": (bpftool.parse_map_id, int),
    "program": (bpftool.parse_prog, bpftool.Program),
    "attached": (bpftool.parse_attached, tuple),
    "pinned link": (bpftool.parse_link, bpftool.PinnedLink),
    "device": (links.parse_link, links.Link),
    "routes": (links.parse_routes, tuple),
    "route": (links.parse_route, links.Route),
    "namespaces": (netns.parse, dict),
    "agent's endpoint": (agent_endpoint.parse, agent_endpoint.AgentEndpoint),
    "agent's policy": (endpoint_policy.parse, endpoint_policy.EndpointPolicy),
    "selectors": (policy_selectors.parse, dict),
    "policies": (policy_repository.parse, tuple),
    "configuration": (agent_config.parse, agent_config.AgentConfig),
    "layout": (map_layout.parse, map_layout.Layout),
    "device's counters": (links.parse_counters, links.DeviceCounters),
    "uptime": (uptime.parse, float),
    "counters": (bpf_metrics.parse, tuple),
    "packet filters": (iptables.parse, dict),
    "queues": (qdisc.parse_losing, dict),
    "sockets": (ss.parse, tuple),
    "filters of tc": (tc_filters.parse, tuple),
    "neighbor": (neighbors.parse_neighbor, neighbors.Neighbor),
    "curl": (parse_curl_report, ClientReport),
}
REASONS = {
    EvidenceError.COMMAND_FAILED,
    EvidenceError.UNPARSABLE,
    EvidenceError.TRUNCATED,
    EvidenceError.UNSUPPORTED_VERSION,
}
# In these outputs, lines of other kinds are skipped.
STREAMS = {"Hubble's events": (hubble.parse, Flows), "monitor's events": (monitor.parse, Flows)}

RECORDED = [recording.answer for _, recording in everything()]
DOCUMENTS = [a for a in RECORDED if a.stdout[:1] in (b"[", b"{") and b"\n{" not in a.stdout]
# by number: Hypothesis would print them all
recorded, documented = (st.integers(0, len(some) - 1).map(some.__getitem__) for some in (RECORDED, DOCUMENTS))
NULL = printed("null\n", exit_code=254)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def garbled(draw: st.DrawFn) -> Answer:
    """A recorded answer that is truncated, has flipped bits, or partly repeated output."""
    answer = draw(recorded)
    output = bytearray(answer.stdout)
    at = draw(st.integers(0, len(output)))
    match draw(st.sampled_from(("cut", "flip", "insert"))):
        case "cut":
            del output[at:]
        case "flip" if at < len(output):
            output[at] ^= 1 << draw(st.integers(0, 7))
        case _:
            output[at:at] = draw(st.binary(max_size=8) | st.just(bytes(output)))
    return replace(answer, stdout=bytes(output))


@st.composite
def retyped(draw: st.DrawFn) -> Answer:
    """A recorded JSON answer in which one value has another type or is missing."""
    answer = draw(documented)
    document = json.loads(answer.stdout)
    owner, key = draw(st.sampled_from(list(members(document))))
    if draw(st.booleans()):
        owner[key] = draw(documents)
    else:
        del owner[key]
    return replace(answer, stdout=json.dumps(document).encode("utf-8", "surrogatepass"))


def members(document: Any) -> list[tuple[Any, Any]]:
    """All places in a document: the container, and the key or index in it."""
    if not isinstance(document, dict | list):
        return []
    keys = list(document if isinstance(document, dict) else range(len(document)))
    return [(document, key) for key in keys] + [place for key in keys for place in members(document[key])]


noise = st.builds(
    Answer,
    exit_code=st.integers(0, 255),
    stdout=st.binary(max_size=64) | documents.map(lambda document: json.dumps(document).encode()),
    stderr=st.binary(max_size=64) | recorded.map(lambda answer: answer.stderr),
    at=st.just(0.0),
    duration_s=st.just(0.0),
)
swapped = st.builds(
    lambda one, other: replace(one, exit_code=other.exit_code, stderr=other.stderr),
    recorded,
    recorded,
)
answers = recorded | garbled() | retyped() | noise | swapped


@settings(max_examples=400)
@given(reading=answers)
def test_parsers_never_raise_and_return_one_of_three_results(reading: Answer) -> None:
    for name, (parse, record) in (PARSERS | STREAMS).items():
        result = parse(reading)
        assert isinstance(result, record | Absent | Unavailable), name
        if isinstance(result, Unavailable):
            assert result.reason in REASONS, name
            assert result.at == reading.at
            assert result.message.isprintable()
            assert len(result.message) < 400


@settings(max_examples=400)
@given(reading=answers | st.builds(replace, st.just(NULL), exit_code=st.integers(0, 255)))
def test_only_null_is_an_absent_entry_and_only_success_a_record(reading: Answer) -> None:
    is_null = reading.exit_code in (254, 255) and reading.stdout.strip() == b"null"
    for name, (parse, record) in MAPS.items():
        result = parse(reading)
        assert isinstance(result, Absent) == is_null, name
        if isinstance(result, record):
            assert reading.exit_code == 0, name


@given(reading=recorded | st.just(NULL) | noise)
def test_truncated_output_is_unavailable_even_if_it_can_be_parsed(reading: Answer) -> None:
    for name, (parse, _) in PARSERS.items():
        if name != "curl":  # its report is separate from the truncated body
            result = parse(replace(reading, truncated=True))
            assert isinstance(result, Unavailable), name
            assert result.reason == EvidenceError.TRUNCATED


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("reason", EvidenceError)
def test_unavailable_stays_unavailable(name: str, reason: EvidenceError) -> None:
    unavailable = Unavailable(reason, "why", 1.0)
    assert PARSERS[name][0](unavailable) is unavailable


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    "stdout", [b"[" * 100_000, b"9" * 5000, b'{"id":1e999}', b'"\\ud800"', b"\xff\xfe[\0"]
)
def test_json_that_breaks_decoders_is_unavailable(name: str, stdout: bytes) -> None:
    assert isinstance(PARSERS[name][0](printed(stdout)), Unavailable)


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "10.0.0.1", "dev": "../lxc1"},
        {"dst": "10.0.0.1", "dev": "--help"},
        {"dst": "10.0.0.1", "dev": "eth0", "gateway": "nowhere"},
        {"dst": "10.0.0.1", "dev": "eth0", "prefsrc": "invalid"},
    ],
)
def test_a_route_with_an_invalid_device_or_address_is_unparsable(route: dict[str, str]) -> None:
    parsed = links.parse_route(Answer(0, json.dumps([route]).encode(), b"", 0.0, 0.0))
    assert isinstance(parsed, Unavailable)
    assert parsed.reason == EvidenceError.UNPARSABLE
