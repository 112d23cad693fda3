"""Which facts are skipped in a run after a timeout: those to an agent process, to a tool, or to a whole node."""

from ipaddress import ip_address

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.unresponsive_agents import UnresponsiveAgents
from datapath_probe.sources.agent import agent_endpoint, bpf_metrics
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.flows import hubble
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps import lxcmap
from datapath_probe.sources.netfilter import iptables

ENDPOINT = agent_endpoint.fact("node1", 1)
EVENTS = hubble.newest("node1")
METRICS = bpf_metrics.fact("node1")
LOOKUP = lxcmap.lookup("node1", ip_address("10.0.0.1"))
OTHER_LOOKUP = bpftool.map_id("node1", "cilium_lxc")
ELSEWHERE = agent_endpoint.fact("node2", 1)
ALL = (ENDPOINT, EVENTS, METRICS, LOOKUP, OTHER_LOOKUP, ELSEWHERE)

NOT_RESPONDING = Unavailable(EvidenceError.AGENT_NOT_RESPONDING, "no answer within 8 s")
TIMEOUT = Unavailable(EvidenceError.TIMEOUT, "no answer within 5 s")
FINE = Answer(0, b"", b"", 0.0, 0.0)


def after(fact: Fact, *readings: Reading) -> UnresponsiveAgents:
    silence = UnresponsiveAgents()
    for reading in readings:
        silence.note(fact, reading)
    return silence


def unanswered(fact: Fact, *readings: Reading) -> set[Fact]:
    silence = after(fact, *readings)
    return {asked for asked in ALL if silence.of(asked)}


def test_an_unresponsive_agent_does_not_affect_other_tools() -> None:
    assert unanswered(ENDPOINT, NOT_RESPONDING) == {ENDPOINT, EVENTS}


def test_a_hanging_tool_does_not_affect_other_tools() -> None:
    assert unanswered(LOOKUP, TIMEOUT) == {LOOKUP, OTHER_LOOKUP}


def test_a_hanging_tool_cannot_query_the_agent() -> None:
    assert unanswered(METRICS, TIMEOUT) == {METRICS, ENDPOINT}


def test_a_hanging_tool_in_a_pod_does_not_affect_other_tools_there() -> None:
    inside_filters = iptables.fact("node1", "a")
    silence = after(inside_filters, TIMEOUT)
    assert silence.of(iptables.fact("node1")) is TIMEOUT
    assert silence.of(links.pod_routes("node1", "a")) is None


def test_without_a_channel_no_fact_can_be_had() -> None:
    assert unanswered(LOOKUP, NOT_RESPONDING) == set(ALL) - {ELSEWHERE}


def test_the_reason_is_that_of_the_first_timeout() -> None:
    assert after(ENDPOINT, NOT_RESPONDING).of(EVENTS) is NOT_RESPONDING


def test_an_earlier_timeout_counts() -> None:
    assert unanswered(ENDPOINT, NOT_RESPONDING, FINE) == {ENDPOINT, EVENTS}


def test_other_errors_are_not_timeouts() -> None:
    assert unanswered(LOOKUP, Unavailable(EvidenceError.CHANNEL_LOST, "gone")) == set()
