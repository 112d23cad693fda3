"""Filters of tc at one side of a device that are not eBPF programs (`bpftool` lists those): classic BPF, flower, u32,
matchall, with their effect on packets. Cilium adds none of these.

If it can't be determined which packets a filter matches, it counts if it has matched packets or has no counters.
Source: iproute2 6.x `tc -j -s filter show` (`tc/tc_filter.c`, `tc/m_{gact,mirred,police}.c`, `tc/f_bpf.c`); Linux 6.x
`net/sched/cls_bpf.c`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..bpf import bpf_returns
from ..bpf.bpftool import AttachKind, Direction
from ..parsing import Json, parser

_OWN = "cil_"
_PASSING = frozenset({"ok", "pass", "pipe", "continue", "reclassify"})
_CHANGING = frozenset({"pedit", "nat", "vlan", "mpls", "tunnel_key", "skbmod", "ife", "ct"})
_POLICE = "police"
_RETURN, _CLASS, _CONSTANT = 6, 7, 6  # classic BPF opcodes: BPF_RET, the mask of classes, BPF_RET | BPF_K


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that stops or changes packets; `does`: how."""

    preference: int
    kind: str
    does: str


def fact(node: str, device: str, direction: Direction, namespace: str | None = None) -> Fact:
    """The filters at one side of a device of the node, or inside a pod."""
    return Fact.of(FactKind.TC_FILTERS, node, device=device, direction=direction.value, namespace=namespace)


@parser("tc filter show")
def parse(answer: Answer) -> tuple[Filter, ...]:
    """The filters that stop or change packets, in order of execution, up to Cilium's own program."""
    found: list[Filter] = []
    shown = list(Json.parse(answer.stdout)) if answer.stdout.strip() else []
    for filter_ in shown:
        options = filter_["options"]
        if not options:  # the head of the filters with this preference
            continue
        if options["bpf_name"].text("").startswith(_OWN):
            break
        preference, kind = filter_["pref"].integer(), filter_["kind"].text()
        does = (*_by_classic_bpf(options), *_by_actions(options))
        found.extend(Filter(preference, kind, one) for one in does)
    return tuple(found)


@parser("tc filter show")
def parse_own(answer: Answer) -> tuple[int, ...]:
    """The priorities of the filters with names of Cilium's programs, in order of execution."""
    shown = list(Json.parse(answer.stdout)) if answer.stdout.strip() else []
    return tuple(
        filter_["pref"].integer()
        for filter_ in shown
        if filter_["options"] and filter_["options"]["bpf_name"].text("").startswith(_OWN)
    )


def _by_classic_bpf(options: Json) -> Iterator[str]:
    """A program whose return value is the verdict and may stop packets."""
    if not options["bytecode"] or not options["direct-action"].boolean(False):
        return
    code = [(insn["code"].integer(), insn["k"].integer()) for insn in options["bytecode"]["insns"]]
    returns = [(kind, value) for kind, value in code if kind & _CLASS == _RETURN]
    constants = all(kind == _CONSTANT for kind, _ in returns)
    values = frozenset(value for _, value in returns) if constants else None
    taken = bpf_returns.taken(values, AttachKind.TC, before_another=False)
    if taken is None or taken:
        yield "drops or redirects packets"


def _by_actions(options: Json) -> Iterator[str]:
    for action in options["actions"] or ():
        kind, stats = action["kind"].text(), action["stats"]
        control = action.maybe("control_action").maybe("type").text("pass")
        met = stats.maybe("drops" if kind == _POLICE else "packets").integer(1)
        if not met:
            continue
        if action["mirred_action"].text("") == "redirect":
            yield f"redirects packets to {action['to_dev'].text('another device')}"
        elif kind in _CHANGING:
            yield f"changes packets ({kind})"
        elif kind == _POLICE or control not in _PASSING:
            yield f"stops packets ({kind} {control})"
