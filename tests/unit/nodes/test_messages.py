"""Messages of the protocol are our values, and whatever else arrives is refused."""

import math

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.addresses import IpFamily
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.nodes.agent.requests import validated
from datapath_probe.nodes.wire import node_agent_pb2 as pb
from datapath_probe.nodes.wire.messages import (
    curl_request_of,
    fact_message,
    fact_of,
    reading_message,
    reading_of,
    send_message,
)
from datapath_probe.sources.curl.request import Tls
from unit.nodes.samples import NODE, POD, facts, request

ANSWER = Answer(1, b"\x00\xff out", b"err", at=100.0, duration_s=0.25, truncated=True)


@pytest.mark.parametrize("fact", [*facts()], ids=str)
def test_a_fact_arrives_as_it_was_sent(fact: Fact) -> None:
    assert fact_of(pb.Fact.FromString(fact_message(fact).SerializeToString()), NODE) == fact


def test_every_kind_is_tried() -> None:
    assert {fact.kind for fact in facts()} == set(FactKind)


@pytest.mark.parametrize(
    "message",
    [
        pb.Fact(kind="shell-command"),
        pb.Fact(kind="ipcache-entry"),
        pb.Fact(kind="uptime", parameters=[pb.Parameter(name="argv", text="id")]),
        pb.Fact(kind="link", parameters=[pb.Parameter(name="device", text="-force")]),
        pb.Fact(kind="link", parameters=[pb.Parameter(name="device", text="eth0; id")]),
        pb.Fact(kind="link", parameters=[pb.Parameter(name="device")]),
        pb.Fact(kind="link", parameters=[pb.Parameter(name="device", text="a")] * 2),
        pb.Fact(kind="pinned-map", parameters=[pb.Parameter(name="map", text="../../../etc/shadow")]),
        pb.Fact(kind="program", parameters=[pb.Parameter(name="id", number=2**32)]),
        pb.Fact(kind="monitor-traces", parameters=[pb.Parameter(name="endpoints", list=pb.List())]),
    ],
    ids=str,
)
def test_what_is_no_fact_is_refused(message: pb.Fact) -> None:
    with pytest.raises(ValueError, match=r"."):
        fact_of(message, NODE)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(garbage: bytes) -> None:
    for read in (_ask, _send, _reading):
        try:
            read(garbage)
        except (DecodeError, ValueError):
            continue


def _ask(garbage: bytes) -> None:
    for message in pb.AskRequest.FromString(garbage).facts:
        fact_of(message, NODE)


def _send(garbage: bytes) -> None:
    validated(curl_request_of(pb.SendRequest.FromString(garbage)))


def _reading(garbage: bytes) -> None:
    reading_of(pb.Reading.FromString(garbage), 0.0)


@pytest.mark.parametrize(
    ("reading", "arrives"),
    [
        (ANSWER, Answer(1, ANSWER.stdout, ANSWER.stderr, 1998.0, 0.25, truncated=True)),
        (
            Unavailable(EvidenceError.TIMEOUT, "late", 101.0),
            Unavailable(EvidenceError.TIMEOUT, "late", 1999.0),
        ),
    ],
)
def test_a_reading_arrives_with_its_age_whatever_the_clocks_say(reading: Reading, arrives: Reading) -> None:
    message = pb.Reading.FromString(reading_message(reading, now=102.0).SerializeToString())
    assert reading_of(message, now=2000.0) == arrives


@pytest.mark.parametrize(
    "message",
    [
        pb.Reading(),
        pb.Reading(answer=pb.Answer(exit_code=4096)),
        pb.Reading(answer=pb.Answer(), age_s=math.nan),
        pb.Reading(answer=pb.Answer(), age_s=-1.0),
        pb.Reading(answer=pb.Answer(duration_s=math.inf)),
        pb.Reading(unavailable=pb.Unavailable(reason="BecauseISaySo")),
    ],
    ids=repr,
)
def test_what_is_no_reading_is_refused(message: pb.Reading) -> None:
    with pytest.raises(ValueError, match=r"."):
        reading_of(message, 0.0)


@pytest.mark.parametrize(
    "sent",
    [
        request(),
        request(family=IpFamily.IPV6, show_addresses=True, keep_body=False),
        request(protocol="https", tls=Tls("", "death.star", verify=False)),
    ],
)
def test_a_request_arrives_as_it_was_sent(sent: object) -> None:
    message = send_message(sent, NODE, POD, 1)  # type: ignore[arg-type]
    assert curl_request_of(pb.SendRequest.FromString(message.SerializeToString())) == sent
    assert (message.node, message.pod, message.protocol_version) == (NODE, POD, 1)
