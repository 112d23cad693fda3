"""Facts of bundles of format 1, which stored evidence by command.

In: the arguments of a command, as versions before format 2 ran it. Out: its fact; None if no version ran that command.
Called by `upgrade`. Do not change this module when today's commands change.
"""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import Value

_INSIDE = "/var/run/cilium/netns/"
_SCRIPT = ("perl", "-e")
_CONFIG = re.compile(r"grep -sH  (?:/tmp/cilium/config-map/[\w-]+ ?)+")
_CONFIG_KEY = "/tmp/cilium/config-map/routing-mode"  # noqa: S108  # the agent's own path; a key of the first part
_IN_NAMESPACES = (
    r"find /var/run/cilium/netns -mindepth 1 -maxdepth 1 -type f -print -exec nsenter --net=\{\} ip -j "
)
_LOOKUP = re.compile(
    r"bpftool -j map lookup pinned /sys/fs/bpf/tc/globals/(?P<map>\S+) key hex (?P<key>[0-9a-f ]+)"
)
_ROUTE = (
    r"ip -j route get (?P<destination>\S+)(?: from (?P<source>\S+))?(?: iif (?P<input_device>\S+))?"
    r"(?: ipproto (?P<protocol>\S+))?(?: sport (?P<source_port>\d+))?(?: dport (?P<destination_port>\d+))?"
)
_COMMANDS: Final[Sequence[tuple[FactKind, str]]] = (
    (FactKind.PINNED_MAP, r"bpftool -j map show pinned /sys/fs/bpf/tc/globals/(?P<map>\S+)"),
    (FactKind.MAPS_BY_NAME, r"bpftool -j map show name (?P<name>\S+)"),
    (FactKind.PROGRAM, r"bpftool -j prog show id (?P<id>\d+)"),
    (FactKind.PROGRAM_CODE, r"bpftool -j prog dump xlated id (?P<id>\d+)"),
    (FactKind.PROGRAMS_BY_NAME, r"bpftool -j prog show name (?P<name>\S+)"),
    (FactKind.ATTACHED_PROGRAMS, r"bpftool -j net show dev (?P<device>\S+)"),
    (
        FactKind.ENDPOINT_PROGRAM_LINK,
        r"bpftool -j link show pinned /sys/fs/bpf/cilium/endpoints/(?P<endpoint>\d+)/links/(?P<program>\S+)",
    ),
    (
        FactKind.DEVICE_PROGRAM_LINK,
        r"bpftool -j link show pinned /sys/fs/bpf/cilium/devices/(?P<device>\S+)/links/(?P<program>\S+)",
    ),
    (
        FactKind.CGROUP_PROGRAM_LINK,
        r"bpftool -j link show pinned /sys/fs/bpf/cilium/socketlb/links/cgroup/(?P<program>\S+)",
    ),
    (FactKind.LINK, r"ip -j -d link show dev (?P<device>\S+)"),
    (FactKind.LINK_COUNTERS, r"ip -j -s link show dev (?P<device>\S+)"),
    (
        FactKind.ROUTE,
        _ROUTE,
    ),
    (FactKind.ROUTES, r"ip -j route show(?: match (?P<match>\S+))?"),
    (FactKind.NEIGHBOR, r"ip -j neigh show to (?P<address>\S+) dev (?P<device>\S+)"),
    (FactKind.NEIGHBORS, r"ip -j neigh show dev (?P<device>\S+) nud all"),
    (FactKind.QDISCS, r"tc -j -s qdisc show"),
    (FactKind.TC_FILTERS, r"tc -j -s filter show dev (?P<device>\S+) (?P<direction>ingress|egress)"),
    (FactKind.SOCKETS, r"ss -H -t -a -n sport = :(?P<port>\d+)"),
    (FactKind.IPTABLES_RULES, r"iptables(?:-(?P<backend>legacy|nft))?-save -c"),
    (FactKind.NAMESPACE_ADDRESSES, _IN_NAMESPACES + r"-4 addr show scope global ;"),
    (FactKind.NAMESPACE_DEVICES, _IN_NAMESPACES + r"addr show ;"),
    (FactKind.UPTIME, r"cat /proc/uptime"),
    (FactKind.AGENT_VERSION, r"cilium-agent --version"),
    (FactKind.AGENT_ENDPOINT, r"cilium-dbg endpoint get (?P<endpoint>\d+) -o json"),
    (FactKind.AGENT_ENDPOINT_BY_ADDRESS, r"cilium-dbg endpoint get ipv[46]:(?P<address>\S+) -o json"),
    (FactKind.POLICY_RULES, r"cilium-dbg policy get -o json"),
    (FactKind.POLICY_SELECTORS, r"cilium-dbg policy selectors -o jsonpath=.+"),
    (FactKind.BPF_METRICS, r"cilium-dbg bpf metrics list -o json"),
    (FactKind.HUBBLE_SOCKET, r"test -S (?P<path>/.+)"),
    (
        FactKind.FLOWS,
        r"hubble observe -o jsonpb --ip (?P<address>\S+) --port (?P<port>\d+) --since (?P<since_s>\d+)s --last \d+",
    ),
    (
        FactKind.ICMP_FLOWS,
        r"hubble observe -o jsonpb --ip (?P<address>\S+) --protocol icmp --since (?P<since_s>\d+)s --last \d+",
    ),
    (FactKind.NEWEST_FLOW, r"hubble observe -o jsonpb --last 1"),
    (
        FactKind.MONITOR_DROPS,
        r"timeout -k 1 (?P<window_s>\d+) cilium-dbg monitor -j -t drop -t policy-verdict",
    ),
    (
        FactKind.MONITOR_TRACES,
        r"timeout -k 1 (?P<window_s>\d+) cilium-dbg monitor -j -t trace(?P<endpoints>(?: --related-to \d+)+)",
    ),
)
# Classic BPF of capture filters: source address, outer and inner port.
_JUMP_IF_EQUAL = 0x15
_LOADS_SOURCE, _LOADS_OUTER_PORT, _LOADS_PORT = (0x20, 12), (0x28, 22), (0x48, 0)
_PATTERNS = tuple((kind, re.compile(pattern, re.ASCII)) for kind, pattern in _COMMANDS)
_NUMBERS = frozenset({"id", "endpoint", "source_port", "destination_port", "port", "since_s", "window_s"})


def fact_of(node: str, argv: Sequence[str]) -> Fact | None:
    """The fact that the command printed; None if no version ran it. Raises ValueError for an impossible value."""
    found = _parsed(tuple(argv))
    return Fact.of(found[0], node, **dict(found[1])) if found else None


def is_more_config(argv: Sequence[str]) -> bool:
    """Whether the command printed the second part of the agent's configuration."""
    return argv[0] == "grep" and _CONFIG_KEY not in argv


@lru_cache(maxsize=32_768)
def _parsed(argv: tuple[str, ...]) -> tuple[FactKind, tuple[tuple[str, Value], ...]] | None:
    inside, words = _namespace(argv)
    if words[:2] == _SCRIPT:
        found = _by_script(words)
    elif _CONFIG.fullmatch(text := " ".join(words)):
        found = FactKind.AGENT_CONFIG, {}
    elif lookup := _LOOKUP.fullmatch(text):
        found = _entry(lookup["map"], bytes.fromhex(lookup["key"]))
    else:
        found = _by_command(text)
    return (found[0], tuple({**found[1], **inside}.items())) if found else None


def _namespace(argv: tuple[str, ...]) -> tuple[dict[str, Value], tuple[str, ...]]:
    match argv:
        case ("nsenter", where, *words) if where.startswith(f"--net={_INSIDE}"):
            return {"namespace": where.removeprefix(f"--net={_INSIDE}")}, tuple(words)
    return {}, argv


_Parsed = tuple[FactKind, dict[str, Value]] | None


def _by_script(words: Sequence[str]) -> _Parsed:
    """The rules of nf_tables, or captured packets: that script has the arguments filter, seconds, packets."""
    match words[len(_SCRIPT) + 1 :]:
        case []:
            return FactKind.NFTABLES_RULES, {}
        case [packets, duration_s, _]:
            return FactKind.CAPTURE, {**_filtered(packets), "duration_s": int(duration_s)}
    return None


def _filtered(packets: str) -> dict[str, Value]:
    """The parameters of a filter, from the values that its instructions compare with loads at 12, 22 and X + 0."""
    clients: dict[str, None] = {}
    found: dict[str, Value] = {}
    loaded = None
    for text in packets.split():
        code, _, _, k = map(int, text.split(","))
        if code != _JUMP_IF_EQUAL:
            loaded = (code, k)
        elif loaded == _LOADS_SOURCE:
            clients[_ip(k.to_bytes(4, "big"))] = None
        elif loaded == _LOADS_OUTER_PORT:
            found["tunnel_port"] = k
        elif loaded == _LOADS_PORT:
            found["port"] = k
    return {**found, "clients": tuple(clients)}


def _by_command(text: str) -> _Parsed:
    for kind, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            named = found.groupdict().items()
            return kind, {name: _value(name, value) for name, value in named if value is not None}
    return None


def _value(name: str, text: str) -> Value:
    if name == "endpoints":
        return tuple(int(word) for word in text.split() if word.isdecimal())
    return int(text) if name in _NUMBERS else text


def _entry(name: str, key: bytes) -> _Parsed:
    """The map entry with this key."""
    for beginning, decode in _KEYS.items():
        if name.startswith(beginning):
            try:
                return decode(name, key)
            except struct.error as error:
                raise ValueError(f"a key of {name}: {error}") from None
    return None


def _ipcache(name: str, key: bytes) -> _Parsed:
    prefix, family, address = struct.unpack("<I3xB16s", key)
    ip = _ip(address[: 4 if family == 1 else 16])
    return FactKind.IPCACHE_ENTRY, {"map": name, "address": ip, "prefix_length": prefix - 32}


def _endpoint(_: str, key: bytes) -> _Parsed:
    address, family = struct.unpack("<16sB3x", key)
    return FactKind.ENDPOINT_ENTRY, {"address": _ip(address[: 4 if family == 1 else 16])}


def _policy(name: str, key: bytes) -> _Parsed:
    identity, egress, protocol = struct.unpack("<4xIBB", key[:-2])
    policy_map, _, endpoint = name.rpartition("_")
    return FactKind.POLICY_ENTRY, {
        "map": policy_map,
        "endpoint": int(endpoint),
        "direction": "egress" if egress else "ingress",
        "identity": identity,
        "protocol": protocol,
        "port": int.from_bytes(key[-2:], "big"),
    }


def _slot(_: str, key: bytes) -> _Parsed:
    port, slot, protocol, scope = struct.unpack(">H2sBB2x", key[-8:])
    return FactKind.SERVICE_SLOT, {
        "address": _ip(key[:-8]),
        "port": port,
        "protocol": protocol,
        "scope": "internal" if scope else "external",
        "slot": int.from_bytes(slot, "little"),
    }


def _conntrack(_: str, key: bytes) -> _Parsed:
    ends, (dport, sport, protocol, flags) = key[:-6], struct.unpack(">HHBB", key[-6:])
    to, from_ = _ip(ends[: len(ends) // 2]), _ip(ends[len(ends) // 2 :])
    of_service = flags == _SERVICE_FLAG
    (client, client_port), (server, port) = (
        ((to, sport), (from_, dport))
        if not of_service
        else (
            (from_, dport),
            (to, sport),
        )
    )
    return FactKind.CONNTRACK_ENTRY, {
        "entry": _CT_FLAGS.get(flags, ""),
        "client": client,
        "client_port": client_port,
        "server": server,
        "server_port": port,
        "protocol": protocol,
    }


_SERVICE_FLAG = 4
_CT_FLAGS = {0: "out", 1: "in", 2: "related", _SERVICE_FLAG: "service"}


def _number(key: bytes) -> int:
    return int.from_bytes(key, "little")


def _ip(packed: bytes) -> str:
    return str(ip_address(packed))


_KEYS: Final[Mapping[str, Callable[[str, bytes], _Parsed]]] = {
    "cilium_ipcache": _ipcache,
    "cilium_lxc": _endpoint,
    "cilium_policy": _policy,
    "cilium_lb4_services_v2": _slot,
    "cilium_lb6_services_v2": _slot,
    "cilium_lb4_backends_v3": lambda _, key: (
        FactKind.SERVICE_BACKEND,
        {"id": _number(key), "family": 4},
    ),
    "cilium_lb4_reverse_nat": lambda _, key: (
        FactKind.REVERSE_NAT_ENTRY,
        {"id": int.from_bytes(key, "big"), "family": 4},
    ),
    "cilium_ct": _conntrack,
    "cilium_call_policy": lambda _, key: (FactKind.POLICY_PROGRAM, {"endpoint": _number(key)}),
    "cilium_calls_overlay_2": lambda _, key: (FactKind.OVERLAY_TAIL_CALL, {"index": _number(key)}),
    "cilium_calls_": lambda name, key: (
        FactKind.ENDPOINT_TAIL_CALL,
        {"endpoint": int(name.rpartition("_")[2]), "index": _number(key)},
    ),
}
