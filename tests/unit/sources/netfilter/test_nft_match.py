"""Conditions of nf_tables for packets that are partly known."""

from ipaddress import ip_address

import pytest

from datapath_probe.sources.netfilter.nft_match import Expression, matches
from datapath_probe.sources.packet import Match, Packet

SYN = Packet("tcp", ip_address("10.0.1.2"), ip_address("10.0.2.3"), 80, 40101).of_handshake()
OVER_IPV6 = Packet("tcp", ip_address("fd00::1"), ip_address("fd00::2"), 80, 40101).of_handshake()
REGISTER = "NFT_REG_1"


def payload(base: str, offset: int, length: int) -> Expression:
    return Expression(
        "payload",
        {
            "NFTA_PAYLOAD_DREG": REGISTER,
            "NFTA_PAYLOAD_BASE": f"NFT_PAYLOAD_{base}_HEADER",
            "NFTA_PAYLOAD_OFFSET": offset,
            "NFTA_PAYLOAD_LEN": length,
        },
    )


def masked(mask: bytes) -> Expression:
    return Expression(
        "bitwise",
        {
            "NFTA_BITWISE_SREG": REGISTER,
            "NFTA_BITWISE_DREG": REGISTER,
            "NFTA_BITWISE_MASK": mask,
            "NFTA_BITWISE_XOR": bytes(len(mask)),
        },
    )


def compared(value: bytes, operator: str = "EQ", register: str = REGISTER) -> Expression:
    data = {"NFTA_CMP_SREG": register, "NFTA_CMP_OP": f"NFT_CMP_{operator}", "NFTA_CMP_DATA": value}
    return Expression("cmp", data)


def test_flags_distinguish_the_handshake_from_data() -> None:
    syn_alone = (payload("TRANSPORT", 13, 1), masked(b"\x17"), compared(b"\x02"))
    assert matches(syn_alone, SYN) is Match.YES
    assert matches(syn_alone, SYN.with_data()) is Match.NO
    assert matches(syn_alone, Packet("tcp", ip_address("10.0.1.2"), ip_address("10.0.2.3"))) is Match.UNKNOWN


def test_states_distinguish_the_first_packet_from_later_ones() -> None:
    established = Expression("ct", {"NFTA_CT_DREG": REGISTER, "NFTA_CT_KEY": "NFT_CT_STATE"})
    condition = (established, masked((2).to_bytes(4, "little")), compared(bytes(4), "NEQ"))
    assert matches(condition, SYN) is Match.NO
    assert matches(condition, SYN.with_data()) is Match.YES


def test_lengths_match_only_large_packets() -> None:
    large = (payload("NETWORK", 2, 2), compared((1200).to_bytes(2, "big"), "GT"))
    assert matches(large, SYN) is Match.NO
    assert matches(large, SYN.with_data()) is Match.YES


def test_a_set_is_unknown_unless_another_condition_does_not_hold() -> None:
    in_set = Expression("lookup", {})
    assert matches((payload("TRANSPORT", 2, 2), in_set), SYN) is Match.UNKNOWN
    other_protocol = (payload("NETWORK", 9, 1), compared(b"\x11"))
    assert matches((*other_protocol, payload("TRANSPORT", 2, 2), in_set), SYN) is Match.NO


def test_small_registers_overlap_large_ones() -> None:
    port = payload("TRANSPORT", 2, 2)
    assert matches((port, compared((80).to_bytes(2, "big"), register="NFT_REG32_00")), SYN) is Match.YES
    assert matches((port, compared((80).to_bytes(2, "big"), register="NFT_REG32_04")), SYN) is Match.UNKNOWN


@pytest.mark.parametrize(
    "condition",
    [
        compared(b"\0\x50", "NEWER_OPERATOR"),
        compared(b"\0\x50", register="NFT_REG32_99"),
        Expression("cmp", {"NFTA_CMP_SREG": REGISTER, "NFTA_CMP_OP": None, "NFTA_CMP_DATA": b"\0\x50"}),
        Expression("cmp", {"NFTA_CMP_SREG": REGISTER, "NFTA_CMP_OP": "NFT_CMP_EQ"}),
        Expression("newer", {}),
    ],
)
def test_an_expression_of_a_newer_kernel_is_unknown(condition: Expression) -> None:
    assert matches((payload("TRANSPORT", 2, 2), condition), SYN) is Match.UNKNOWN


def test_an_unsupported_bitwise_operation_makes_the_value_unknown() -> None:
    shifted = Expression("bitwise", {**masked(b"\xff\xff").data, "NFTA_BITWISE_OP": "NFT_BITWISE_LSHIFT"})
    assert matches((payload("TRANSPORT", 2, 2), shifted, compared(b"\0\x50")), SYN) is Match.UNKNOWN


def test_the_byte_order_is_swapped_in_units() -> None:
    swapped = {"NFTA_BYTEORDER_SREG": REGISTER, "NFTA_BYTEORDER_DREG": REGISTER, "NFTA_BYTEORDER_SIZE": 2}
    order = Expression("byteorder", swapped)
    assert matches((payload("TRANSPORT", 2, 2), order, compared(b"\x50\0")), SYN) is Match.YES
    without_size = Expression("byteorder", {**swapped, "NFTA_BYTEORDER_SIZE": 0})
    assert matches((payload("TRANSPORT", 2, 2), without_size, compared(b"\0\x50")), SYN) is Match.YES


@pytest.mark.parametrize(("operator", "inside"), [("EQ", Match.YES), ("NEQ", Match.NO)])
def test_ranges_include_their_ends(operator: str, inside: Match) -> None:
    ends = {"NFTA_RANGE_FROM_DATA": b"\0\x50", "NFTA_RANGE_TO_DATA": b"\0\x51"}
    asked = {"NFTA_RANGE_SREG": REGISTER, "NFTA_RANGE_OP": f"NFT_RANGE_{operator}", **ends}
    assert matches((payload("TRANSPORT", 2, 2), Expression("range", asked)), SYN) is inside


def meta(key: str) -> Expression:
    return Expression("meta", {"NFTA_META_DREG": REGISTER, "NFTA_META_KEY": f"NFT_META_{key}"})


@pytest.mark.parametrize(
    ("load", "of_ipv4", "of_ipv6"),
    [
        (meta("NFPROTO"), b"\x02", b"\x0a"),
        (meta("PROTOCOL"), b"\x08\0", b"\x86\xdd"),
        (meta("LEN"), (60).to_bytes(4, "little"), (80).to_bytes(4, "little")),
    ],
)
def test_the_version_of_ip_is_known(load: Expression, of_ipv4: bytes, of_ipv6: bytes) -> None:
    assert (matches((load, compared(of_ipv4)), SYN), matches((load, compared(of_ipv6)), SYN)) == (
        Match.YES,
        Match.NO,
    )
    assert matches((load, compared(of_ipv6)), OVER_IPV6) is Match.YES
    assert matches((load, compared(of_ipv4)), OVER_IPV6) is Match.NO


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (4, (40).to_bytes(2, "big")),  # the length does not count the header
        (6, b"\x06"),
        (8, ip_address("fd00::1").packed),
        (24, ip_address("fd00::2").packed),
    ],
    ids=["length", "protocol", "source", "destination"],
)
def test_the_header_of_ipv6_has_other_offsets(offset: int, value: bytes) -> None:
    load = payload("NETWORK", offset, len(value))
    assert matches((load, compared(value)), OVER_IPV6) is Match.YES
    other = bytes([value[0] ^ 1]) + value[1:]
    assert matches((load, compared(other)), OVER_IPV6) is Match.NO


def test_large_packets_of_ipv6_match_any_length() -> None:
    condition = (payload("NETWORK", 4, 2), compared((1200).to_bytes(2, "big"), "GT"))
    assert matches(condition, OVER_IPV6) is Match.NO
    assert matches(condition, OVER_IPV6.with_data()) is Match.YES
