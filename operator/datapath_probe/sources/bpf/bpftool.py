"""The output of bpftool: values of pinned maps, maps, programs, and the programs attached to a device.

Called by `sources.maps` and `diagnose`. Source: `tools/bpf/bpftool` of Linux 6.x; observed with 7.5.
Old versions of bpftool do not support tcx: if `attached` finds nothing, the pinned link shows whether that is true.
"""

from dataclasses import dataclass
from enum import StrEnum

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import device_name
from ...evidence.reading import Absent, Answer, Reading, Unavailable
from ..byte_order import le32
from ..parsing import Json, failed, parser
from .map_key import MapKey

_KERNEL_NAME_LENGTH = 15  # BPF_OBJ_NAME_LEN without the NUL


class Direction(StrEnum):
    """As seen from the host's side of a device: packets from a pod are ingress at its lxc device, also with netkit."""

    INGRESS = "ingress"
    EGRESS = "egress"


class AttachKind(StrEnum):
    """How a program is attached."""

    XDP = "xdp"
    TCX = "tcx"
    NETKIT = "netkit"
    TC = "tc"


_HOOKS = {
    "tcx/ingress": (Direction.INGRESS, AttachKind.TCX),
    "tcx/egress": (Direction.EGRESS, AttachKind.TCX),
    "netkit/peer": (Direction.INGRESS, AttachKind.NETKIT),
    "netkit/primary": (Direction.EGRESS, AttachKind.NETKIT),
    "clsact/ingress": (Direction.INGRESS, AttachKind.TC),
}


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded program. Without BTF its `name` is cut at 15 characters. `tag` is equal for equal code."""

    id: int
    name: str
    type: str
    tag: str
    map_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """One program on one device. `kind`: the hook as printed; `program`: without the suffix `-<device>` of tc.
    `link_id`: the bpf_link that attaches it; None if there is none, or if this bpftool does not print it.
    """

    device: str
    ifindex: int
    kind: str
    direction: Direction
    attach: AttachKind
    program: str  # "" for XDP, whose name bpftool does not print
    program_id: int
    link_id: int | None = None


@dataclass(frozen=True, slots=True)
class PinnedLink:
    """A pinned bpf_link. `ifindex` 0: detached; None: this bpftool is too old to print it."""

    id: int
    program_id: int
    ifindex: int | None


def parse_value(reading: Reading, *sizes: int) -> bytes | Absent | Unavailable:
    """The bytes of the value, if their number is one of `sizes`; any other number is an unknown layout."""
    value = _parse_value(reading)
    if isinstance(value, bytes) and len(value) not in sizes:
        expected = " or ".join(map(str, sizes))
        message = f"bpftool map lookup: a value of {len(value)} bytes instead of {expected}"
        return Unavailable(EvidenceError.UNPARSABLE, message, reading.at)
    return value


@parser("bpftool map lookup", exit_codes=range(256))
def _parse_value(answer: Answer) -> bytes | Absent | Unavailable:
    if answer.exit_code == 0:
        return Json.parse(answer.stdout)["value"].octets()
    # null is printed only for ENOENT; exit code 254 is -ENOENT, 255 (-1) is that of libbpf before 1.0
    if answer.exit_code in (254, 255) and answer.stdout.strip() == b"null":
        return Absent()
    return failed(answer, "bpftool map lookup")


def map_id(node: str, pinned_map: str) -> Fact:
    """The id of the map that is pinned under this name, to compare with `Program.map_ids`."""
    return Fact.of(FactKind.PINNED_MAP, node, map=pinned_map)


@parser("bpftool map show")
def parse_map_id(answer: Answer) -> int:
    """The id."""
    return Json.parse(answer.stdout).only()["id"].unsigned(32)


def maps_named(node: str, pinned_map: str) -> Fact:
    """All maps with the name that the kernel stores for the pinned map; it is cut at 15 characters."""
    return Fact.of(FactKind.MAPS_BY_NAME, node, name=pinned_map[:_KERNEL_NAME_LENGTH])


@parser("bpftool map show")
def parse_map_ids(answer: Answer) -> tuple[int, ...]:
    """Their ids."""
    return tuple(shown["id"].unsigned(32) for shown in Json.parse(answer.stdout).all())


def prog(node: str, program_id: int) -> Fact:
    """The program's metadata, including the maps that it uses."""
    return Fact.of(FactKind.PROGRAM, node, id=program_id)


@parser("bpftool prog show")
def parse_prog(answer: Answer) -> Program:
    """The program; if it does not exist, the command fails."""
    shown = Json.parse(answer.stdout).only()
    return Program(
        id=shown["id"].unsigned(32),
        name=shown["name"].text(""),
        type=shown["type"].text(),
        tag=shown["tag"].text(""),
        map_ids=tuple(number.unsigned(32) for number in shown["map_ids"]) if shown["map_ids"] else (),
    )


def policy_call(node: str, endpoint: int) -> Fact:
    """The policy program of an endpoint (`cil_lxc_policy`). If absent, its packets are dropped with code 203."""
    return Fact.of(FactKind.POLICY_PROGRAM, node, endpoint=endpoint)


def policy_call_key(fact: Fact) -> MapKey:
    """Where an endpoint's policy program is looked up."""
    return MapKey("cilium_call_policy", le32(fact.number("endpoint")))


def endpoint_call(node: str, endpoint: int, index: int) -> Fact:
    """A tail call of an endpoint's programs. If absent, packets that need it are dropped with code 140."""
    return Fact.of(FactKind.ENDPOINT_TAIL_CALL, node, endpoint=endpoint, index=index)


def endpoint_call_key(fact: Fact) -> MapKey:
    """Where a tail call of an endpoint is looked up."""
    return MapKey(calls_of(fact.number("endpoint")), le32(fact.number("index")))


def calls_of(endpoint: int) -> str:
    """The name of the map of an endpoint's tail calls."""
    return f"cilium_calls_{endpoint:05d}"


def overlay_call(node: str, index: int) -> Fact:
    """A tail call of the tunnel device's programs."""
    return Fact.of(FactKind.OVERLAY_TAIL_CALL, node, index=index)


def overlay_call_key(fact: Fact) -> MapKey:
    """Where a tail call of the tunnel device is looked up."""
    return MapKey("cilium_calls_overlay_2", le32(fact.number("index")))


def parse_call(reading: Reading) -> int | Absent | Unavailable:
    """The id of the program at this index of a program array."""
    value = parse_value(reading, 4)
    return int.from_bytes(value, "little") if isinstance(value, bytes) else value


def attached(node: str, device: str, namespace: str | None = None) -> Fact:
    """All programs on a device of the node, or inside a pod."""
    return Fact.of(FactKind.ATTACHED_PROGRAMS, node, device=device, namespace=namespace)


@parser("bpftool net show")
def parse_attached(answer: Answer) -> tuple[Attachment, ...]:
    """Programs in their order of execution in each direction, including foreign ones, XDP first. Classic BPF programs
    have no id; `tc_filters` reads those.
    """
    shown = Json.parse(answer.stdout).only()
    return (
        *(_xdp(entry, part) for entry in shown["xdp"] for part in entry["multi_attachments"] or (entry,)),
        *(_attachment(entry) for entry in shown["tc"] if entry["prog_id"] or entry["id"]),
    )


def _xdp(entry: Json, part: Json) -> Attachment:
    return Attachment(
        device=device_name(entry["devname"].text()),
        ifindex=entry["ifindex"].unsigned(32),
        kind=f"xdp/{part['mode'].text('')}",
        direction=Direction.INGRESS,
        attach=AttachKind.XDP,
        program="",
        program_id=part["id"].unsigned(32),
    )


def _attachment(entry: Json) -> Attachment:
    device = device_name(entry["devname"].text())
    kind = entry["kind"].text()
    # the others are filters at clsact/egress and at other qdiscs, which all apply to egress packets
    direction, attach = _HOOKS.get(kind, (Direction.EGRESS, AttachKind.TC))
    return Attachment(
        device=device,
        ifindex=entry["ifindex"].unsigned(32),
        kind=kind,
        direction=direction,
        attach=attach,
        program=entry["name"].text("").removesuffix(f"-{device}"),
        program_id=(entry["prog_id"] or entry["id"]).unsigned(32),
        link_id=entry["link_id"].unsigned(32, 0) or None,
    )


def endpoint_link(node: str, endpoint: int, program: str) -> Fact:
    """The link of a program at an endpoint's lxc device (tcx, netkit)."""
    return Fact.of(FactKind.ENDPOINT_PROGRAM_LINK, node, endpoint=endpoint, program=program)


def device_link(node: str, device: str, program: str) -> Fact:
    """The link of a program at a device of the host (tcx)."""
    return Fact.of(FactKind.DEVICE_PROGRAM_LINK, node, device=device, program=program)


@parser("bpftool link show", exit_codes=range(256))  # for a single link the exit code is an arbitrary errno
def parse_link(answer: Answer) -> PinnedLink | Absent | Unavailable:
    """The link; absent if none is pinned, as always with tc."""
    shown = Json.parse(answer.stdout).only()
    if shown["error"]:
        gone = "No such file or directory" in shown["error"].text()
        return Absent() if gone else failed(answer, "bpftool link show")
    return PinnedLink(
        id=shown["id"].unsigned(32),
        program_id=shown["prog_id"].unsigned(32),
        ifindex=shown["ifindex"].unsigned(32) if shown["ifindex"] else None,
    )


def is_program(shown: str, name: str) -> bool:
    """Whether a name in a tool's output is that of this program; the kernel cuts names at 15 characters."""
    return shown == name or (len(shown) == _KERNEL_NAME_LENGTH and name.startswith(shown))
