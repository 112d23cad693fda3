"""Drops, policy verdicts and traces from `cilium-dbg monitor` as they occur, for nodes without Hubble.

It listens for a limited time and then ends. Drops are those of the whole node, so one answer serves all runs at the
same time; traces are too many for that, so they are limited to a few endpoints. It needs up to a second to start: of a
connection it sees the retransmits, and of their traces what aggregation leaves (a new TCP flag, or one in 5 s).
Source: Cilium 1.16–1.20 `pkg/monitor/datapath_drop.go`, `datapath_policy.go`, `datapath_trace.go`, `format/format.go`
(`--related-to`), `bpf/lib/conntrack.h` (CT_REPORT_INTERVAL).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from ...addresses import parse_address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..drop_reasons import code_of
from ..parsing import Json, parser
from .flow import Flow, Flows, Point

_STOPPED_BY_TIMEOUT = 124

# Source: `pkg/monitor/api/files.go`; the numbers have never changed.
_FILES = {
    1: "bpf_host.c",
    2: "bpf_lxc.c",
    3: "bpf_overlay.c",
    4: "bpf_xdp.c",
    5: "bpf_sock.c",
    6: "bpf_network.c",
    7: "bpf_wireguard.c",
    105: "nodeport.h",
    106: "lb.h",
    110: "local_delivery.h",
    112: "encap.h",
    114: "host_firewall.h",
    115: "nodeport_egress.h",
}
_POINTS = {str(point).lower().replace("_", "-"): point for point in Point}
# Policy verdicts are plain text even with -j: what was decided, then the packet.
_VERDICT = "Policy verdict log: "
_DECISION = re.compile(
    r", proto \d{1,3}, (?P<direction>ingress|egress), action (?P<action>[a-z]{1,20})", re.ASCII
)
_ENDS = re.compile(
    r"\[?(?P<ip>[0-9.]{7,15}|[0-9a-f:]{2,39})\]?:(?P<port>\d{1,5})(?: tcp (?P<flags>[^\n]*))?", re.ASCII
)
_LINE_LIMIT = 1024  # characters; a verdict has about 200
_LOST = re.compile(r"CPU \d+: Lost (\d+) events", re.ASCII)
_POLICY_DENIED = 133
_FLAG = re.compile(r"[A-Z]{3}", re.ASCII)


def fact(node: str, window_s: int) -> Fact:
    """Drops on the node from now on, for this time. Never repeated: another answer would cover another period."""
    return Fact.of(FactKind.MONITOR_DROPS, node, window_s=window_s)


def traces(node: str, endpoints: Sequence[int], window_s: int) -> Fact:
    """Where packets from and to these endpoints of the node are observed during this time."""
    return Fact.of(FactKind.MONITOR_TRACES, node, endpoints=tuple(endpoints), window_s=window_s)


@parser("cilium-dbg monitor", exit_codes=(0, _STOPPED_BY_TIMEOUT))
def parse(answer: Answer) -> Flows:
    """Drops and traces of TCP, and denials. The last line may be cut off; other kinds are skipped."""
    flows: list[Flow] = []
    lost = 0
    for text in answer.stdout.decode(errors="replace").splitlines():
        if text.startswith("{"):
            flow = _event(text)
        elif found := _LOST.fullmatch(text):
            lost += int(found[1])
            continue
        else:
            flow = _denial(text)
        if flow:
            flows.append(flow)
    return Flows(tuple(flows), lost)


def _event(text: str) -> Flow | None:
    """A drop or a trace. Flags of traces are left out: they do not include those of the start of the connection."""
    try:
        shown = Json.parse(text)
    except ValueError:  # cut off
        return None
    kind, packet = shown["type"].text(""), shown["summary"]
    code = code_of(shown["reason"].text("")) if kind == "drop" else None
    point = _POINTS.get(shown["observationPoint"].text("")) if kind == "trace" else None
    if (code is None and point is None) or not packet.maybe("tcp"):
        return None
    seen = Flow(
        at=0.0,
        protocol="TCP",
        source=parse_address(packet["l3"].maybe("src").text("")),
        source_port=_port(packet["l4"].maybe("src").text("")),
        destination=parse_address(packet["l3"].maybe("dst").text("")),
        destination_port=_port(packet["l4"].maybe("dst").text("")),
        point=point,
    )
    return seen if code is None else _dropped(seen, code, shown)


def _dropped(seen: Flow, code: int, shown: Json) -> Flow:
    # An egress packet has no destination endpoint yet.
    direction = "ingress" if shown["dstID"].integer(0) else "egress"
    file = _FILES.get(shown["File"].integer(0), "")
    return replace(seen, drop_code=code, direction=direction, file=file)


def _denial(text: str) -> Flow | None:
    if len(text) > _LINE_LIMIT or not text.startswith(_VERDICT):
        return None
    head, _, to = text.rpartition(" -> ")
    decision, source = _DECISION.search(head), _ENDS.fullmatch(head.rpartition(", ")[2])
    destination = _ENDS.fullmatch(to)
    if not (decision and source and destination) or decision["action"] != "deny":
        return None
    if destination["flags"] is None:  # not TCP
        return None
    return Flow(
        at=0.0,
        protocol="TCP",
        source=parse_address(source["ip"]),
        source_port=_port(source["port"]),
        destination=parse_address(destination["ip"]),
        destination_port=_port(destination["port"]),
        drop_code=_POLICY_DENIED,
        direction=decision["direction"],
        file="bpf_lxc.c",
        flags=tuple(_FLAG.findall(destination["flags"])),
    )


def _port(text: str) -> int:
    """ "80" or "80(http)": the dissector adds the names of known ports."""
    digits = re.match(r"\d{1,5}", text, re.ASCII)
    return int(digits[0]) if digits else 0
