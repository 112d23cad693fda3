"""The sockets of a pod, in the output of ss."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.iproute2 import ss
from datapath_probe.sources.iproute2.ss import Socket

PRINTED = """\
LISTEN   2      1            0.0.0.0:8080          0.0.0.0:*
ESTAB    5      0          10.0.2.3:8080         10.0.1.2:40101
SYN-RECV 0      0          10.0.2.3:8080         10.0.1.2:40102
"""
DUAL_STACK = """\
LISTEN 0      5                       *:8081                  *:*
CLOSE-WAIT 1  0      [::ffff:10.0.2.3]:8081  [::ffff:10.0.1.2]:40101
"""


def parsed(text: str) -> tuple[Socket, ...]:
    found = ss.parse(Answer(0, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(found, Unavailable), found
    return found


def test_a_listener_at_all_addresses_listens_at_this_one() -> None:
    assert ss.listener(parsed(PRINTED), ip_address("10.0.2.3"))
    assert ss.listener(parsed(DUAL_STACK), ip_address("10.0.2.3"))
    assert ss.listener(parsed("LISTEN 0 5 [::]:80 [::]:*\n"), ip_address("10.0.2.3"))


@pytest.mark.parametrize(
    "line", ["LISTEN 0 5 127.0.0.1:80 0.0.0.0:*", "LISTEN 0 5 127.0.0.53%lo:80 0.0.0.0:*"]
)
def test_a_listener_at_another_address_does_not_count(line: str) -> None:
    assert ss.listener(parsed(line), ip_address("10.0.2.3")) is None


def test_a_listener_is_full_if_its_queue_exceeds_the_limit() -> None:
    listener = ss.listener(parsed(PRINTED), ip_address("10.0.2.3"))
    assert listener is not None
    assert listener.is_full
    assert not parsed("LISTEN 1 1 0.0.0.0:80 0.0.0.0:*")[0].is_full
    assert not parsed("ESTAB 5 0 10.0.2.3:80 10.0.1.2:40101")[0].is_full


def test_a_connection_is_found_by_its_client() -> None:
    taken = ss.of_connection(parsed(PRINTED), ip_address("10.0.1.2"), 40101)
    assert taken is not None
    assert (taken.received, taken.is_half_open) == (5, False)
    half_open = ss.of_connection(parsed(PRINTED), ip_address("10.0.1.2"), 40102)
    assert half_open is not None
    assert half_open.is_half_open
    assert ss.of_connection(parsed(DUAL_STACK), ip_address("10.0.1.2"), 40101)
    assert ss.of_connection(parsed(PRINTED), ip_address("10.0.1.2"), 40103) is None


def test_empty_output_means_no_socket_and_garbage_is_unavailable() -> None:
    assert parsed("") == ()
    assert isinstance(ss.parse(Answer(0, b"no socket\n", b"", 0.0, 0.0)), Unavailable)
