"""Drops and policy verdicts as `cilium-dbg monitor` prints them while they happen: for nodes where Hubble is off.

It listens for a bounded time and then ends; it shows the whole node's drops, so one answer serves all who ask at the
same time. It needs up to a second to start: what it sees of a connection are the retransmits.
Source: Cilium 1.16–1.20 `pkg/monitor/datapath_drop.go`, `pkg/monitor/datapath_policy.go`.
"""

import re

from ..evidence.question import Question
from ..evidence.reading import Answer
from .answers import Json, parser
from .drop_reasons import code_of
from .flow import Flow, Flows

_STOPPED_BY_TIMEOUT = 124
_KILL_AFTER_S = 1

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
# Policy verdicts are plain text even with -j.
_VERDICT = re.compile(
    r"Policy verdict log: .*?, proto \d{1,3}, (?P<direction>ingress|egress), action (?P<action>[a-z]+).*"
    r", (?P<source>[0-9.]{7,15}):(?P<source_port>\d{1,5})"
    r" -> (?P<to>[0-9.]{7,15}):(?P<to_port>\d{1,5}) tcp (?P<flags>.*)",
    re.ASCII,
)
_LOST = re.compile(r"CPU \d+: Lost (\d+) events", re.ASCII)
_POLICY_DENIED = 133
_FLAG = re.compile(r"[A-Z]{3}", re.ASCII)


def question(node: str, window_s: int) -> Question:
    """What is dropped on the node from now on, for so long. Not to be asked again: it would be another window."""
    command = ("cilium-dbg", "monitor", "-j", "-t", "drop", "-t", "policy-verdict")
    return Question(
        node,
        ("timeout", "-k", str(_KILL_AFTER_S), str(window_s), *command),
        timeout_s=window_s + _KILL_AFTER_S + 1.0,
        max_age_s=0.01,
        repeatable=False,
    )


@parser("cilium-dbg monitor", exit_codes=(0, _STOPPED_BY_TIMEOUT))
def parse(answer: Answer) -> Flows:
    """Drops of TCP over IPv4 and denials; the last line may be cut, and lines of other kinds are passed over."""
    flows: list[Flow] = []
    lost = 0
    for text in answer.stdout.decode(errors="replace").splitlines():
        if text.startswith("{"):
            flow = _drop(text)
        elif found := _LOST.fullmatch(text):
            lost += int(found[1])
            continue
        else:
            flow = _denial(text)
        if flow:
            flows.append(flow)
    return Flows(tuple(flows), lost)


def _drop(text: str) -> Flow | None:
    try:
        shown = Json.parse(text)
    except ValueError:  # cut
        return None
    code = code_of(shown["reason"].text("")) if shown["type"].text("") == "drop" else None
    packet = shown["summary"]
    if code is None or not packet.maybe("tcp"):
        return None
    return Flow(
        at=0.0,
        protocol="TCP",
        source=packet["l3"].maybe("src").text(""),
        source_port=_port(packet["l4"].maybe("src").text("")),
        destination=packet["l3"].maybe("dst").text(""),
        destination_port=_port(packet["l4"].maybe("dst").text("")),
        drop_code=code,
        # A packet on its way out has no endpoint yet that it is for.
        direction="ingress" if shown["dstID"].integer(0) else "egress",
        file=_FILES.get(shown["File"].integer(0), ""),
    )


def _denial(text: str) -> Flow | None:
    found = _VERDICT.fullmatch(text)
    if not found or found["action"] != "deny":
        return None
    return Flow(
        at=0.0,
        protocol="TCP",
        source=found["source"],
        source_port=_port(found["source_port"]),
        destination=found["to"],
        destination_port=_port(found["to_port"]),
        drop_code=_POLICY_DENIED,
        direction=found["direction"],
        file="bpf_lxc.c",
        flags=tuple(_FLAG.findall(found["flags"])),
    )


def _port(text: str) -> int:
    """ "80" or "80(http)": the dissector adds names that it knows."""
    digits = re.match(r"\d{1,5}", text, re.ASCII)
    return int(digits[0]) if digits else 0
