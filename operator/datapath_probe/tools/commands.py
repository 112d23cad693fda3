"""Facts as commands in the container of a node's Cilium agent: the only module that knows the command lines of its
tools.

In: a fact. Out: the command that prints it. Called by `agents` and `agent_exec`. Pure. Parameters were validated when
the fact was made, so that none can be an option or another path.
Source: the tools of the agent's image: bpftool 7, iproute2 6, iptables 1.8, util-linux, GNU findutils, perl-base;
Cilium 1.16–1.20 `cilium-dbg/cmd`, `hubble/cmd/observe`, `pkg/bpf/bpffs_linux.go` (where objects are pinned).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, ip_address
from typing import Final

from ..addresses import IpFamily
from ..evidence.delivery import delivery
from ..evidence.fact import Fact
from ..evidence.fact_kinds import FactKind
from ..sources import kernel_counters
from ..sources.agent import agent_config, map_pressure
from ..sources.maps.map_keys import MAP_KEYS
from ..sources.netfilter import kernel_conntrack, masquerade_rules
from ..sources.netns import FOLDER as NAMESPACES
from . import scripts
from .bpf_filter import connection_filter
from .command import Command

Argv = tuple[str, ...]

_BPFTOOL: Final = ("bpftool", "-j")
MAPS, _LINKS = "/sys/fs/bpf/tc/globals", "/sys/fs/bpf/cilium"
_OCTETS: Final = tuple(f"{octet:02x}" for octet in range(256))
# A connection causes about 15 events; more of them are retransmits.
EVENTS_LIMIT = 100
_PACKETS_LIMIT = 200  # per capture
_KILL_AFTER_S = 1
_CGROUP_DEPTH = "10"  # of a pod, also inside the cgroup of a node that is a container
_SELECTOR_COLUMNS = r'jsonpath={range [*]}{.selector}{"\t"}{.identities}{"\n"}{end}'
_SAVE = {"legacy": "tables-legacy-save", "nft": "tables-nft-save"}
# The parameters of facts that select a packet for `ip route get`, in its order.
_PACKET: Final = (
    ("source", "from"),
    ("input_device", "iif"),
    ("protocol", "ipproto"),
    ("source_port", "sport"),
    ("destination_port", "dport"),
    ("mark", "mark"),
)


@lru_cache(maxsize=4096)
def command_of(fact: Fact) -> Command:
    """The command that prints the fact."""
    how = delivery(fact)
    return Command(
        fact.node,
        argv_of(fact),
        how.timeout_s,
        repeatable=how.repeatable,
        by_agent=how.by_agent,
        often_absent=how.often_absent,
        large=how.large,
    )


def argv_of(fact: Fact) -> Argv:
    """The argv of the command; inside a pod's network namespace if the fact is about one."""
    namespace = fact.get("namespace")
    return (
        ("nsenter", f"--net={NAMESPACES}/{namespace}", *argv_inside(fact)) if namespace else argv_inside(fact)
    )


def argv_inside(fact: Fact) -> Argv:
    """The argv of the command for who is already in the network namespace that the fact is about."""
    return _map_lookup(fact) if fact.kind in MAP_KEYS else _ARGV[fact.kind](fact)


def _map_lookup(fact: Fact) -> Argv:
    name, key = MAP_KEYS[fact.kind](fact)
    return *_BPFTOOL, "map", "lookup", "pinned", f"{MAPS}/{name}", "key", "hex", *(_OCTETS[o] for o in key)


def _bpftool(*words: str) -> Argv:
    return *_BPFTOOL, *words


def _pinned_link(path: str) -> Argv:
    return _bpftool("link", "show", "pinned", f"{_LINKS}/{path}")


def _device_link(fact: Fact) -> Argv:
    owner = fact.text("device").replace(".", "-")
    return _pinned_link(f"devices/{owner}/links/{fact.text('program')}")


def _endpoint_link(fact: Fact) -> Argv:
    return _pinned_link(f"endpoints/{fact.number('endpoint')}/links/{fact.text('program')}")


def _route(fact: Fact) -> Argv:
    return "ip", "-j", "route", "get", fact.text("destination"), *_of_packet(fact)


def _of_packet(fact: Fact) -> Iterator[str]:
    for name, word in _PACKET:
        value = fact.get(name)
        if value is not None:
            yield from (word, str(value))


def _routes(fact: Fact) -> Argv:
    match = fact.get("match")
    return *_ip(fact), "route", "show", *(("match", str(match)) if match else ())


def _ip(fact: Fact) -> Argv:
    """Without a version, `ip` shows what is IPv4."""
    return ("ip", "-j", "-6") if fact.get("family") else ("ip", "-j")


def _in_each_namespace(*show: str) -> Argv:
    enter = ("nsenter", "--net={}", *show)
    return (
        "find",
        NAMESPACES,
        "-mindepth",
        "1",
        "-maxdepth",
        "1",
        "-type",
        "f",
        "-print",
        "-exec",
        *enter,
        ";",
    )


def _cgroup_programs(fact: Fact) -> Argv:
    """The programs that sockets pass in the root and in the pod's cgroup, whose name contains the pod's UID. systemd
    writes it with underscores.
    """
    root, uid = fact.text("root"), fact.text("pod")
    names = (f"*pod{uid}*", f"*pod{uid.replace('-', '_')}*")
    matches = (word for name in names for word in ("-o", "-name", name, "-prune"))
    show = ("-print", "-exec", *_BPFTOOL, "cgroup", "show", "{}", "effective", ";")
    return "find", root, "-maxdepth", _CGROUP_DEPTH, "-type", "d", "(", "-path", root, *matches, ")", *show


def _agent_config(_: Fact) -> Argv:
    """grep skips the files that do not exist."""
    return "grep", "-sH", "", *(f"{agent_config.FOLDER}/{key}" for key in agent_config.KEYS)


def _endpoint_at(fact: Fact) -> Argv:
    address = ip_address(fact.text("address"))
    return "cilium-dbg", "endpoint", "get", f"ipv{address.version}:{address}", "-o", "json"


def _hubble(*words: str) -> Argv:
    return "hubble", "observe", "-o", "jsonpb", *words


def _flows(fact: Fact, *words: str) -> Argv:
    window = ("--since", f"{fact.number('since_s')}s", "--last", str(EVENTS_LIMIT))
    return _hubble("--ip", fact.text("address"), *words, *window)


def _monitor(fact: Fact, *words: str) -> Argv:
    bound = ("timeout", "-k", str(_KILL_AFTER_S), str(fact.number("window_s")))
    return *bound, "cilium-dbg", "monitor", "-j", *words


def _traces(fact: Fact) -> Argv:
    endpoints = fact.get("endpoints")
    assert isinstance(endpoints, tuple)
    related = (word for endpoint in endpoints for word in ("--related-to", str(endpoint)))
    return _monitor(fact, "-t", "trace", *related)


def _capture(fact: Fact) -> Argv:
    clients, tunnel_port = fact.get("clients"), fact.get("tunnel_port")
    assert isinstance(clients, tuple)
    packets = connection_filter(
        [IPv4Address(client) for client in clients],
        fact.number("port"),
        tunnel_port if isinstance(tunnel_port, int) else None,
    )
    return *_perl("sniffer"), packets, str(fact.number("duration_s")), str(_PACKETS_LIMIT)


@cache
def _perl(script: str) -> Argv:
    return "perl", "-e", files(scripts).joinpath(f"{script}.pl").read_text()


def _iptables(fact: Fact) -> Argv:
    save = _SAVE[fact.text("backend")] if fact.get("backend") else "tables-save"
    return f"ip6{save}" if fact.get("family") else f"ip{save}", "-c"


_ARGV: Final[Mapping[FactKind, Callable[[Fact], Argv]]] = {
    FactKind.PINNED_MAP: lambda f: _bpftool("map", "show", "pinned", f"{MAPS}/{f.text('map')}"),
    FactKind.MAPS_BY_NAME: lambda f: _bpftool("map", "show", "name", f.text("name")),
    FactKind.PROGRAM: lambda f: _bpftool("prog", "show", "id", str(f.number("id"))),
    FactKind.PROGRAM_CODE: lambda f: _bpftool("prog", "dump", "xlated", "id", str(f.number("id"))),
    FactKind.PROGRAMS_BY_NAME: lambda f: _bpftool("prog", "show", "name", f.text("name")),
    FactKind.ATTACHED_PROGRAMS: lambda f: _bpftool("net", "show", "dev", f.text("device")),
    FactKind.ENDPOINT_PROGRAM_LINK: _endpoint_link,
    FactKind.DEVICE_PROGRAM_LINK: _device_link,
    FactKind.CGROUP_PROGRAM_LINK: lambda f: _pinned_link(f"socketlb/links/cgroup/{f.text('program')}"),
    FactKind.CGROUP_PROGRAMS: _cgroup_programs,
    FactKind.LINK: lambda f: ("ip", "-j", "-d", "link", "show", "dev", f.text("device")),
    FactKind.LINK_COUNTERS: lambda f: ("ip", "-j", "-s", "link", "show", "dev", f.text("device")),
    FactKind.ROUTE: _route,
    FactKind.ROUTES: _routes,
    FactKind.LOCAL_ADDRESS: lambda f: ("ip", "-j", "addr", "show", "to", f.text("address")),
    FactKind.ROUTING_RULES: lambda f: (*_ip(f), "rule", "show"),
    FactKind.NEIGHBOR: lambda f: (
        *("ip", "-j", "neigh", "show", "to", f.text("address")),
        *("dev", f.text("device")),
    ),
    FactKind.NEIGHBORS: lambda f: ("ip", "-j", "neigh", "show", "dev", f.text("device"), "nud", "all"),
    FactKind.QDISCS: lambda _: ("tc", "-j", "-s", "qdisc", "show"),
    FactKind.TC_FILTERS: lambda f: (
        *("tc", "-j", "-s", "filter", "show", "dev", f.text("device")),
        f.text("direction"),
    ),
    FactKind.SOCKETS: lambda f: ("ss", "-H", "-t", "-a", "-n", "sport", "=", f":{f.number('port')}"),
    FactKind.IPTABLES_RULES: _iptables,
    FactKind.NFTABLES_RULES: lambda _: _perl("nftables"),
    FactKind.MASQUERADE_RULES: lambda f: (
        *("iptables" if f.number("family") == IpFamily.IPV4 else "ip6tables", "-t", "nat"),
        *("-S", masquerade_rules.CHAIN),
    ),
    FactKind.KERNEL_CONNTRACK_ENTRY: lambda f: (*_perl("conntrack"), kernel_conntrack.question(f).hex()),
    FactKind.XFRM_POLICIES: lambda _: ("ip", "-s", "xfrm", "policy", "list"),
    FactKind.XFRM_DEFAULTS: lambda _: ("ip", "xfrm", "policy", "getdefault"),
    FactKind.XFRM_STATES: lambda _: ("ip", "xfrm", "state", "list", "nokeys"),
    FactKind.KERNEL_COUNTERS: lambda _: ("cat", *kernel_counters.FILES),
    FactKind.NAMESPACE_ADDRESSES: lambda _: _in_each_namespace("ip", "-j", "addr", "show", "scope", "global"),
    FactKind.NAMESPACE_DEVICES: lambda _: _in_each_namespace("ip", "-j", "addr", "show"),
    FactKind.UPTIME: lambda _: ("cat", "/proc/uptime"),
    FactKind.AGENT_VERSION: lambda _: ("cilium-agent", "--version"),
    FactKind.AGENT_CONFIG: _agent_config,
    FactKind.AGENT_ENDPOINT: lambda f: (
        *("cilium-dbg", "endpoint", "get", str(f.number("endpoint"))),
        *("-o", "json"),
    ),
    FactKind.AGENT_ENDPOINT_BY_ADDRESS: _endpoint_at,
    FactKind.POLICY_RULES: lambda _: ("cilium-dbg", "policy", "get", "-o", "json"),
    FactKind.POLICY_SELECTORS: lambda _: ("cilium-dbg", "policy", "selectors", "-o", _SELECTOR_COLUMNS),
    FactKind.BPF_METRICS: lambda _: ("cilium-dbg", "bpf", "metrics", "list", "-o", "json"),
    FactKind.MAP_PRESSURE: lambda _: (
        "cilium-dbg",
        "metrics",
        "list",
        "-p",
        map_pressure.METRIC,
        "-o",
        "json",
    ),
    FactKind.HUBBLE_SOCKET: lambda f: ("test", "-S", f.text("path")),
    FactKind.FLOWS: lambda f: _flows(f, "--port", str(f.number("port"))),
    FactKind.ICMP_FLOWS: lambda f: _flows(f, "--protocol", "icmp"),
    FactKind.NEWEST_FLOW: lambda _: _hubble("--last", "1"),
    FactKind.MONITOR_DROPS: lambda f: _monitor(f, "-t", "drop", "-t", "policy-verdict"),
    FactKind.MONITOR_TRACES: _traces,
    FactKind.CAPTURE: _capture,
}
