"""Captured packets: two recorded nodes during one request, the kernel's filter, and garbage."""

from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.capture import pcap
from datapath_probe.sources.capture.pcap import Captured, Outer
from datapath_probe.tools.bpf_filter import connection_filter
from datapath_probe.tools.commands import argv_of

RECORDED = Path(__file__).parents[3] / "data/captures/cilium-1.18.5"
XWING, DEATHSTAR, PORT = IPv4Address("10.244.1.236"), IPv4Address("10.244.0.31"), 19011
NOTES = {
    "node1": b"ready\nif 2 eth0\nif 22 cilium_vxlan\nif 26 lxc8c48be32c455\nlost 3\n",
    "node2": b"ready\nif 13 lxcbaeb4c43515d\nif 18 cilium_vxlan\nif 2 eth0\nlost 0\n",
}


def recorded_pcap(node: str) -> bytes:
    return (RECORDED / f"vxlan-{node}.pcap").read_bytes()


def parsed(stdout: bytes, stderr: bytes = b"") -> Captured | Unavailable:
    return pcap.parse(Answer(0, stdout, stderr, at=0.0, duration_s=1.0))


def recorded(node: str) -> Captured:
    found = parsed(recorded_pcap(node), NOTES[node])
    assert isinstance(found, Captured)
    return found


def test_the_first_packet_is_followed_from_the_pod_into_the_tunnel() -> None:
    way = [(p.interface, p.outgoing, p.outer, p.length) for p in recorded("node2").packets[:3]]
    assert way == [
        ("lxcbaeb4c43515d", False, None, 60),
        ("cilium_vxlan", True, None, 60),
        ("eth0", True, Outer(IPv4Address("172.30.0.12"), IPv4Address("172.30.0.11"), "vxlan", vni=3595), 110),
    ]
    syn = recorded("node2").packets[2]
    assert (syn.source, syn.source_port, syn.destination, syn.destination_port, syn.flags) == (
        *(XWING, PORT, DEATHSTAR, 80),
        ("SYN",),
    )


def test_the_reply_has_the_identity_of_the_other_side() -> None:
    first = next(p for p in recorded("node1").packets if p.outer and p.outgoing)
    assert first.flags == ("SYN", "ACK")
    assert first.outer == Outer(IPv4Address("172.30.0.11"), IPv4Address("172.30.0.12"), "vxlan", vni=5315)


def test_lost_packets_are_counted() -> None:
    assert (recorded("node1").lost, recorded("node2").lost) == (3, 0)


def test_only_the_length_of_the_payload_is_kept() -> None:
    for node in NOTES:
        assert b"landing" not in recorded_pcap(node)
        assert b"HTTP" not in recorded_pcap(node)
    assert max(packet.payload for packet in recorded("node2").packets) == 135


def test_an_interface_without_a_name_is_shown_by_its_index() -> None:
    unnamed = parsed(recorded_pcap("node2"))
    assert isinstance(unnamed, Captured)
    assert unnamed.packets[0].interface == "if13"


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_garbage_is_unavailable(stdout: bytes, stderr: bytes) -> None:
    assert isinstance(parsed(stdout, stderr), Unavailable)


@given(st.integers(0, 3839), st.binary(min_size=1, max_size=40))
def test_a_damaged_capture_is_read_as_far_as_possible(place: int, damage: bytes) -> None:
    whole = recorded_pcap("node1")
    found = parsed(whole[:place] + damage + whole[place + len(damage) :])
    assert isinstance(found, Captured | Unavailable)


@given(st.integers(25, 3839))
def test_a_truncated_capture_is_detected_or_ends_between_packets(size: int) -> None:
    found = parsed(recorded_pcap("node1")[:size])
    assert isinstance(found, Unavailable) or 0 < len(found.packets) < 36


def kept(program: str, packet: bytes) -> bool:
    """Run a filter like the kernel; a load beyond the end drops the packet."""
    instructions = [tuple(map(int, each.split(","))) for each in program.split()]
    place = a = x = 0
    while True:
        code, true, false, k = instructions[place]
        place += 1
        try:
            match code:
                case 0x30:
                    a = packet[k]
                case 0x28:
                    a = _number(packet, k, 2)
                case 0x20:
                    a = _number(packet, k, 4)
                case 0x48:
                    a = _number(packet, x + k, 2)
                case 0xB1:
                    x = 4 * (packet[k] & 15)
                case 0x15:
                    place += true if a == k else false
                case 0x06:
                    return k > 0
                case _:
                    raise AssertionError(f"{code:#x} is no instruction of these filters")
        except IndexError:
            return False


def _number(packet: bytes, place: int, size: int) -> int:
    if len(packet) < place + size:
        raise IndexError
    return int.from_bytes(packet[place : place + size])


def _ip_packets(node: str) -> list[bytes]:
    """Recorded packets, starting with their IP header."""
    whole, place, found = recorded_pcap(node), 24, []
    while place < len(whole):
        size = int.from_bytes(whole[place + 8 : place + 12], "little")
        found.append(whole[place + 36 : place + 16 + size])
        place += 16 + size
    return found


def test_the_filter_keeps_this_connection_plain_and_in_the_tunnel() -> None:
    program = connection_filter([IPv4Address(XWING)], PORT, 8472)
    assert all(kept(program, packet) for node in NOTES for packet in _ip_packets(node))


def test_the_filter_drops_every_other_connection() -> None:
    for other in (
        connection_filter([IPv4Address(XWING)], PORT + 1, 8472),
        connection_filter([IPv4Address("10.244.1.237")], PORT, 8472),
    ):
        assert not any(kept(other, packet) for node in NOTES for packet in _ip_packets(node))


def test_packets_of_a_node_may_have_any_of_its_addresses() -> None:
    program = connection_filter([IPv4Address("172.30.0.12"), IPv4Address(XWING)], PORT, 8472)
    assert all(kept(program, packet) for node in NOTES for packet in _ip_packets(node))


def test_without_a_tunnel_only_plain_packets_are_kept() -> None:
    program = connection_filter([IPv4Address(XWING)], PORT, None)
    found = [kept(program, packet) for packet in _ip_packets("node2")]
    assert found == [packet.outer is None for packet in recorded("node2").packets]


@given(st.binary(max_size=80))
def test_the_filter_ends_for_any_packet(packet: bytes) -> None:
    assert not kept(connection_filter([IPv4Address(XWING)], PORT, 8472), packet) or len(packet) >= 24


def test_the_fact_has_typed_parameters_and_is_not_repeated() -> None:
    fact = pcap.fact("node2", [IPv4Address(XWING)], PORT, 8472, 12.4)
    words = argv_of(fact)
    assert words[:2] == ("perl", "-e")
    assert words[3:] == (connection_filter([IPv4Address(XWING)], PORT, 8472), "12", "200")
    assert not delivery(fact).repeatable
