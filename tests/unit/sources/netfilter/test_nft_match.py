"""What conditions of nf_tables ask, held against packets of which more or less is known."""

from datapath_probe.sources.netfilter.nft_match import Expression, matches
from datapath_probe.sources.packet import Match, Packet

SYN = Packet("tcp", "10.0.1.2", "10.0.2.3", 80, 40101).of_handshake()
ONE, EQUAL, GREATER = b"\0\0\0\1", b"\0\0\0\0", b"\0\0\0\4"


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def data(value: bytes) -> bytes:
    """A nested attribute with a value."""
    return (4 + len(value)).to_bytes(2, "little") + b"\1\0" + value


def payload(base: int, offset: int, length: int) -> Expression:
    return Expression("payload", {1: ONE, 2: number(base), 3: number(offset), 4: number(length)})


def masked(mask: bytes) -> Expression:
    nothing = bytes(len(mask))
    return Expression("bitwise", {1: ONE, 2: ONE, 3: number(len(mask)), 4: data(mask), 5: data(nothing)})


def compared(value: bytes, operator: bytes = EQUAL) -> Expression:
    return Expression("cmp", {1: ONE, 2: operator, 3: data(value)})


def test_flags_tell_the_handshake_from_data() -> None:
    syn_alone = (payload(2, 13, 1), masked(b"\x17"), compared(b"\x02"))
    assert matches(syn_alone, SYN) is Match.YES
    assert matches(syn_alone, SYN.with_data()) is Match.NO
    assert matches(syn_alone, Packet("tcp", "10.0.1.2", "10.0.2.3")) is Match.UNKNOWN


def test_states_tell_the_first_packet_from_later_ones() -> None:
    established = Expression("ct", {1: ONE, 2: number(0)})
    condition = (established, masked((2).to_bytes(4, "little")), compared(bytes(4), b"\0\0\0\1"))
    assert matches(condition, SYN) is Match.NO
    assert matches(condition, SYN.with_data()) is Match.YES


def test_lengths_tell_large_packets_alone() -> None:
    large = (payload(1, 2, 2), compared((1200).to_bytes(2, "big"), GREATER))
    assert matches(large, SYN) is Match.NO
    assert matches(large, SYN.with_data()) is Match.YES


def test_a_set_is_not_guessed_at_unless_something_else_speaks_against_it() -> None:
    in_set = Expression("lookup", {1: b"__set0\0", 2: ONE})
    assert matches((payload(2, 2, 2), in_set), SYN) is Match.UNKNOWN
    other_protocol = (payload(1, 9, 1), compared(b"\x11"))
    assert matches((*other_protocol, payload(2, 2, 2), in_set), SYN) is Match.NO
