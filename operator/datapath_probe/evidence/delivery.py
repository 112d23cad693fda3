"""How the answer to a fact is delivered, whatever collects it: its timeout, how long it can be shared, and what must
respond.

In: a fact. Out: its `Delivery`. Called by `collect`, `kube.exec` and `publish.metrics`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from .fact import Fact
from .fact_kinds import FactKind

# Timeouts of answers. Longer where a large program has to start or the agent itself has to respond.
USUAL_S, LONG_S = 5.0, 7.0
_LASTING_S = 60.0
_CILIUM_DEVICES = ("cilium_", "lxc")
_MONITOR_MARGIN_S, _CAPTURE_MARGIN_S = 2.0, 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """`tool`: what has to respond. If it times out, it is not asked for other facts. Also the label `collector` of
    metrics.

    `max_age_s`: how old a shared answer may be, in seconds; 0: never shared. Longer for facts that are expensive to
    collect and change only with the agent or the endpoint. `repeatable` False: shows what happens while it runs, so a
    repetition would show another period. `by_agent`: the agent's process has to respond, not only a tool next to it.
    `often_absent`: a key that is often missing in a healthy map, or another object whose look-up ends the process;
    collectors that batch look-ups put it last. `large`: the answer may be larger than others, and does not share its
    limit with them.
    """

    tool: str
    timeout_s: float = USUAL_S
    max_age_s: float = 0.2
    repeatable: bool = True
    by_agent: bool = False
    often_absent: bool = False
    large: bool = False


_BPFTOOL = Delivery("bpftool")
_OFTEN_ABSENT = replace(_BPFTOOL, often_absent=True)
# A program is replaced in its link, which stays. bpftool can't show a second link in one process.
_LINK = replace(_BPFTOOL, max_age_s=300.0, often_absent=True)
_IP, _TC = Delivery("ip"), Delivery("tc")
_BY_AGENT = Delivery("cilium-dbg", timeout_s=LONG_S, max_age_s=30.0, by_agent=True)
_MAP_PRESSURE = replace(_BY_AGENT, max_age_s=50.0)  # the agent counts entries every 30 s
_HUBBLE = Delivery("hubble", max_age_s=0.0, by_agent=True)
_MONITOR = Delivery("cilium-dbg", max_age_s=0.01, repeatable=False)
_RULES = {
    FactKind.IPTABLES_RULES: Delivery("iptables-save", large=True),
    FactKind.NFTABLES_RULES: Delivery("perl", large=True),
}

_OF_KIND: Final[Mapping[FactKind, Delivery]] = {
    FactKind.IPCACHE_ENTRY: _BPFTOOL,
    FactKind.ENDPOINT_ENTRY: _OFTEN_ABSENT,
    FactKind.SERVICE_SLOT: _BPFTOOL,
    FactKind.SERVICE_BACKEND: _BPFTOOL,
    FactKind.REVERSE_NAT_ENTRY: _BPFTOOL,
    FactKind.CONNTRACK_ENTRY: _BPFTOOL,
    FactKind.NAT_ENTRY: _BPFTOOL,
    FactKind.EGRESS_GATEWAY_ENTRY: _OFTEN_ABSENT,
    FactKind.MASQUERADE_EXCEPTION: _OFTEN_ABSENT,
    FactKind.POLICY_PROGRAM: _BPFTOOL,
    FactKind.ENDPOINT_TAIL_CALL: _BPFTOOL,
    FactKind.OVERLAY_TAIL_CALL: _BPFTOOL,
    FactKind.PINNED_MAP: _BPFTOOL,
    FactKind.MAPS_BY_NAME: _BPFTOOL,
    FactKind.PROGRAM: _BPFTOOL,
    FactKind.PROGRAM_CODE: replace(_BPFTOOL, max_age_s=_LASTING_S),
    FactKind.PROGRAMS_BY_NAME: _BPFTOOL,
    FactKind.ATTACHED_PROGRAMS: _BPFTOOL,
    FactKind.ENDPOINT_PROGRAM_LINK: _LINK,
    FactKind.DEVICE_PROGRAM_LINK: _LINK,
    FactKind.CGROUP_PROGRAM_LINK: _LINK,
    FactKind.CGROUP_PROGRAMS: Delivery("find", timeout_s=LONG_S, max_age_s=300.0),
    FactKind.LINK_COUNTERS: replace(_IP, max_age_s=0.0),
    FactKind.ROUTE: _IP,
    FactKind.ROUTES: _IP,
    FactKind.LOCAL_ADDRESS: _IP,
    FactKind.ROUTING_RULES: _IP,
    FactKind.NEIGHBOR: _IP,
    FactKind.NEIGHBORS: _IP,
    FactKind.QDISCS: _TC,
    FactKind.TC_FILTERS: _TC,
    FactKind.SOCKETS: Delivery("ss"),
    FactKind.MASQUERADE_RULES: Delivery("iptables"),
    FactKind.KERNEL_CONNTRACK_ENTRY: Delivery("perl", max_age_s=0.0),
    FactKind.XFRM_POLICIES: _IP,
    FactKind.XFRM_DEFAULTS: _IP,
    FactKind.XFRM_STATES: _IP,
    FactKind.KERNEL_COUNTERS: Delivery("cat", max_age_s=0.0),
    FactKind.NAMESPACE_ADDRESSES: Delivery("find", timeout_s=LONG_S, max_age_s=300.0),
    FactKind.NAMESPACE_DEVICES: Delivery("find", timeout_s=LONG_S),
    FactKind.UPTIME: Delivery("cat", max_age_s=0.0),
    FactKind.AGENT_VERSION: Delivery("cilium-agent", timeout_s=LONG_S, max_age_s=3600.0),
    FactKind.AGENT_CONFIG: Delivery("grep", max_age_s=_LASTING_S),
    FactKind.AGENT_ENDPOINT: _BY_AGENT,
    FactKind.AGENT_ENDPOINT_BY_ADDRESS: _BY_AGENT,
    FactKind.POLICY_RULES: _BY_AGENT,
    FactKind.POLICY_SELECTORS: _BY_AGENT,
    FactKind.BPF_METRICS: Delivery("cilium-dbg", timeout_s=LONG_S, max_age_s=0.0),
    FactKind.MAP_PRESSURE: _MAP_PRESSURE,
    FactKind.HUBBLE_SOCKET: Delivery("test", max_age_s=_LASTING_S),
    FactKind.FLOWS: _HUBBLE,
    FactKind.ICMP_FLOWS: _HUBBLE,
    FactKind.NEWEST_FLOW: _HUBBLE,
}


def _of_policy_entry(fact: Fact) -> Delivery:
    """An entry for any identity (0) normally exists; an entry for one identity often does not."""
    return _OFTEN_ABSENT if fact.number("identity") else _BPFTOOL


def _of_link(fact: Fact) -> Delivery:
    """Devices that belong neither to Cilium nor to a pod lead to other nodes and rarely change."""
    own = fact.text("device").startswith(_CILIUM_DEVICES)
    return _IP if own or fact.get("namespace") else replace(_IP, max_age_s=_LASTING_S)


def _of_rules(fact: Fact) -> Delivery:
    """A node may have thousands of rules; they are read only after a failure, and must be current."""
    usual = _RULES[fact.kind]
    return usual if fact.get("namespace") else replace(usual, max_age_s=0.0)


def _of_monitor(fact: Fact) -> Delivery:
    return replace(_MONITOR, timeout_s=fact.number("window_s") + _MONITOR_MARGIN_S)


def _of_capture(fact: Fact) -> Delivery:
    duration_s = fact.number("duration_s")
    return Delivery("perl", duration_s + _CAPTURE_MARGIN_S, max_age_s=0.0, repeatable=False)


_BY_PARAMETERS: Final[Mapping[FactKind, Callable[[Fact], Delivery]]] = {
    FactKind.POLICY_ENTRY: _of_policy_entry,
    FactKind.LINK: _of_link,
    FactKind.IPTABLES_RULES: _of_rules,
    FactKind.NFTABLES_RULES: _of_rules,
    FactKind.MONITOR_DROPS: _of_monitor,
    FactKind.MONITOR_TRACES: _of_monitor,
    FactKind.CAPTURE: _of_capture,
}


def delivery(fact: Fact) -> Delivery:
    """How this fact is delivered."""
    usual = _OF_KIND.get(fact.kind)
    return usual or _BY_PARAMETERS[fact.kind](fact)
