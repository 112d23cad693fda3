"""The kernel's filter for one TCP connection, plain or in a tunnel: a classic BPF program. Called by `commands`, for
`sniffer.pl`.

In: the client's addresses (a pod has one, a node several) and its port. Packets start with their outer IPv4 header.
Source: Linux `include/uapi/linux/bpf_common.h`; VXLAN RFC 7348, Geneve RFC 8926 without options (as Cilium encapsulates
pods' packets).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address

# Opcodes: loads of a byte, half word, word at k; of a half word at X + k; of the length of the IP header into X.
_LDB, _LDH, _LDW, _LDH_X, _LDX_IHL = 0x30, 0x28, 0x20, 0x48, 0xB1
_JEQ, _RET = 0x15, 0x06
_TCP, _UDP, _IPV4 = 6, 17, 0x0800
_NO_OPTIONS = 0x45  # IPv4 with a header of 20 bytes
_INNER_ETHERTYPE, _INNER_IP = 48, 50

_KEEP, _DROP = "keep", "drop"
_Instruction = tuple[
    int, int, str, str
]  # code, k, jump targets if true and if false; "" is the next instruction


def connection_filter(clients: Sequence[IPv4Address], port: int, tunnel_port: int | None) -> str:
    """Instructions "code,jt,jf,k …" that accept both directions. `tunnel_port`: also match inside packets to this UDP
    port.
    """
    program: list[tuple[str, _Instruction]] = []  # with labels
    if tunnel_port is not None:
        program += [
            ("", (_LDB, 9, "", "")),
            ("", (_JEQ, _UDP, "", "plain")),
            ("", (_LDB, 0, "", "")),
            ("", (_JEQ, _NO_OPTIONS, "", _DROP)),
            ("", (_LDH, 22, "", "")),
            ("", (_JEQ, tunnel_port, "", _DROP)),
            ("", (_LDH, _INNER_ETHERTYPE, "", "")),
            ("", (_JEQ, _IPV4, "", _DROP)),
            *_tcp(clients, port, _INNER_IP),
        ]
    first, *rest = _tcp(clients, port, 0)
    program += [("plain", first[1]), *rest, (_KEEP, (_RET, 0xFFFF, "", "")), (_DROP, (_RET, 0, "", ""))]
    places = {label: place for place, (label, _) in enumerate(program) if label}

    def distance(target: str, here: int) -> int:
        return places[target] - here - 1 if target else 0

    return " ".join(
        f"{code},{distance(true, here)},{distance(false, here)},{k}"
        for here, (_, (code, k, true, false)) in enumerate(program)
    )


def _tcp(clients: Sequence[IPv4Address], port: int, at: int) -> list[tuple[str, _Instruction]]:
    """Match TCP from or to the client. `at`: offset of the IP header."""
    sent, received = f"sent, {at}", f"received, {at}"
    return [
        ("", (_LDB, at + 9, "", "")),
        ("", (_JEQ, _TCP, "", _DROP)),
        ("", (_LDW, at + 12, "", "")),
        *(("", (_JEQ, int(client), sent, "")) for client in clients),
        ("", (_LDW, at + 16, "", "")),
        *(("", (_JEQ, int(client), received, "")) for client in clients),
        ("", (_RET, 0, "", "")),
        (sent, (_LDX_IHL, at, "", "")),
        ("", (_LDH_X, at, "", "")),
        ("", (_JEQ, port, _KEEP, _DROP)),
        (received, (_LDX_IHL, at, "", "")),
        ("", (_LDH_X, at + 2, "", "")),
        ("", (_JEQ, port, _KEEP, _DROP)),
    ]
