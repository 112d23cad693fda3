"""The kernel's conntrack entry of one connection, as a node of the lab returned it."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Answer, Unavailable
from datapath_probe.sources.netfilter import kernel_conntrack
from datapath_probe.sources.netfilter.kernel_conntrack import KernelConnection

POD, SERVER, NODE = map(ip_address, ("10.244.1.24", "203.0.113.10", "172.30.0.12"))
# Linux 6.18, after `curl --local-port 23456`: masqueraded, and replied to.
ENTRY = bytes.fromhex(
    "d4000000000102000100000081010000020000003400018014000180080001000af4011808000200cb00710a1c000280"
    "0500010006000000060002005ba000000600030000500000340002801400018008000100cb00710a08000200ac1e000c"
    "1c00028005000100060000000600020000500000060003005ba00000080003000000019e080008000000000008000c00"
    "c7f808e308000b00000000020800070000000077300004802c0001800500010007000000050002000a00000005000300"
    "0a00000006000400270000000600050023000000"
)
LENGTH = 4  # of the field at the start of a message


def answer(stdout: bytes) -> Answer:
    return Answer(0, stdout, b"", at=1.0, duration_s=0.01)


def test_the_question_has_the_tuple_of_the_recorded_entry() -> None:
    question = kernel_conntrack.question(kernel_conntrack.fact("node2", POD, 23456, SERVER, 80))
    assert int.from_bytes(question[:LENGTH], "little") == len(question)
    tuple_of_entry = ENTRY[20 : 20 + 52]
    assert question[20:] == tuple_of_entry


def test_an_entry_shows_the_source_with_which_packets_left() -> None:
    assert kernel_conntrack.parse(answer(ENTRY)) == KernelConnection(NODE, 23456, replied=True)


def test_no_output_is_no_entry() -> None:
    assert kernel_conntrack.parse(answer(b"")) == Absent()


@pytest.mark.parametrize("length", range(1, len(ENTRY), 7))
def test_a_truncated_entry_is_no_evidence(length: int) -> None:
    assert isinstance(kernel_conntrack.parse(answer(ENTRY[:length])), Unavailable)


def test_an_entry_without_its_reply_is_no_evidence() -> None:
    without_reply = ENTRY[:72]
    shortened = len(without_reply).to_bytes(LENGTH, "little") + without_reply[LENGTH:]
    found = kernel_conntrack.parse(answer(shortened))
    assert isinstance(found, Unavailable)
    assert found.reason is EvidenceError.UNPARSABLE
