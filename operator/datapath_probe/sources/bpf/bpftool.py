"""bpftool's view of the kernel: a value of a pinned map, a map, a program, what is attached to a device.

Used by the modules beside it and by `diagnose`. Source: `tools/bpf/bpftool` of Linux 6.x; seen with 7.5.
Not every bpftool knows tcx: where `attached` finds nothing, the pinned link tells if that is so.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ...evidence.errors import EvidenceError
from ...evidence.question import Question
from ...evidence.reading import Absent, Answer, Reading, Unavailable
from ..byte_order import device_name, endpoint_id, fitting, le32
from ..parsing import Json, failed, parser

_MAPS = "/sys/fs/bpf/tc/globals"
_LINKS = "/sys/fs/bpf/cilium"
_KERNEL_NAME_LENGTH = 15  # BPF_OBJ_NAME_LEN less its NUL
_OCTETS = tuple(f"{octet:02x}" for octet in range(256))  # shared by all keys that are remembered


class Direction(StrEnum):
    """As seen from the host's side of a device: a pod's packets come in at its lxc, also with netkit."""

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
    """A loaded program; without BTF its `name` is cut after 15 characters. `tag` is equal for equal code."""

    id: int
    name: str
    type: str
    tag: str
    map_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """One program on one device. `kind`: the hook as printed; `program`: without tc's suffix `-<device>`."""

    device: str
    ifindex: int
    kind: str
    direction: Direction
    attach: AttachKind
    program: str  # "" for XDP, whose name bpftool does not print
    program_id: int


@dataclass(frozen=True, slots=True)
class PinnedLink:
    """A pinned bpf_link. `ifindex` 0: detached; None: this bpftool is too old to say."""

    id: int
    program_id: int
    ifindex: int | None


@lru_cache(maxsize=512)  # checks ask for the same keys again and again
def lookup(node: str, pinned_map: str, key: bytes, *, often_absent: bool = False) -> Question:
    """The value of one key; a longest-prefix map answers with its best match."""
    words = ("map", "lookup", "pinned", f"{_MAPS}/{pinned_map}", "key", "hex")
    return _ask(node, *words, *(_OCTETS[octet] for octet in key), often_absent=often_absent)


def parse_value(reading: Reading, *sizes: int) -> bytes | Absent | Unavailable:
    """The value's bytes, as many as one of `sizes`: another number is a layout that we do not know."""
    value = _parse_value(reading)
    if isinstance(value, bytes) and len(value) not in sizes:
        expected = " or ".join(map(str, sizes))
        message = f"bpftool map lookup: a value of {len(value)} bytes instead of {expected}"
        return Unavailable(EvidenceError.UNPARSABLE, message, reading.at)
    return value


@parser("bpftool map lookup", exit_codes=range(256))
def _parse_value(answer: Answer) -> bytes | Absent | Unavailable:
    if answer.exit_code == 0:
        return bytes(int(octet.text(), 16) for octet in Json.parse(answer.stdout)["value"])
    # null is printed for ENOENT alone; exit code 254 is -ENOENT, 255 (-1) what libbpf before 1.0 made of it
    if answer.exit_code in (254, 255) and answer.stdout.strip() == b"null":
        return Absent()
    return failed(answer, "bpftool map lookup")


def map_id(node: str, pinned_map: str) -> Question:
    """The id of the map that is pinned under this name: compare it with `Program.map_ids`."""
    return _ask(node, "map", "show", "pinned", f"{_MAPS}/{pinned_map}")


@parser("bpftool map show")
def parse_map_id(answer: Answer) -> int:
    """The id."""
    return Json.parse(answer.stdout).only()["id"].integer()


def map_of(lookup: Question) -> str:
    """The name under which the map of a `lookup` is pinned."""
    return lookup.argv[lookup.argv.index("pinned") + 1].removeprefix(f"{_MAPS}/")


def maps_named(node: str, pinned_map: str) -> Question:
    """All maps of the name that the kernel knows the pinned map by, which is cut."""
    return _ask(node, "map", "show", "name", pinned_map[:_KERNEL_NAME_LENGTH])


@parser("bpftool map show")
def parse_map_ids(answer: Answer) -> tuple[int, ...]:
    """Their ids."""
    return tuple(shown["id"].integer() for shown in Json.parse(answer.stdout).all())


def prog(node: str, program_id: int) -> Question:
    """What a program is and which maps it uses."""
    return _ask(node, "prog", "show", "id", str(fitting(program_id, 32)))


@parser("bpftool prog show")
def parse_prog(answer: Answer) -> Program:
    """The program; a program that is gone is a failed command."""
    shown = Json.parse(answer.stdout).only()
    return Program(
        id=shown["id"].integer(),
        name=shown["name"].text(""),
        type=shown["type"].text(),
        tag=shown["tag"].text(""),
        map_ids=tuple(number.integer() for number in shown["map_ids"]) if shown["map_ids"] else (),
    )


def policy_call(node: str, endpoint: int) -> Question:
    """The policy program of an endpoint (`cil_lxc_policy`); absent, its packets are dropped with code 203."""
    return lookup(node, "cilium_call_policy", le32(endpoint_id(endpoint)))


def endpoint_call(node: str, endpoint: int, index: int) -> Question:
    """A tail call of an endpoint's programs; absent, a packet that needs it is dropped with code 140."""
    return lookup(node, calls_of(endpoint), le32(index))


def calls_of(endpoint: int) -> str:
    """The name of the map of an endpoint's tail calls."""
    return f"cilium_calls_{endpoint_id(endpoint):05d}"


def overlay_call(node: str, index: int) -> Question:
    """A tail call of the tunnel device's programs."""
    return lookup(node, "cilium_calls_overlay_2", le32(index))


def parse_call(reading: Reading) -> int | Absent | Unavailable:
    """The id of the program in that place of a program array."""
    value = parse_value(reading, 4)
    return int.from_bytes(value, "little") if isinstance(value, bytes) else value


def attached(node: str, device: str) -> Question:
    """All programs on a device."""
    return _ask(node, "net", "show", "dev", device_name(device))


@parser("bpftool net show")
def parse_attached(answer: Answer) -> tuple[Attachment, ...]:
    """Programs in the order in which they run in each direction, foreign ones too, XDP first. Those of classic BPF have
    no number, and are left to `tc_filters`.
    """
    shown = Json.parse(answer.stdout).only()
    return (
        *(_xdp(entry, part) for entry in shown["xdp"] for part in entry["multi_attachments"] or (entry,)),
        *(_attachment(entry) for entry in shown["tc"] if entry["prog_id"] or entry["id"]),
    )


def _xdp(entry: Json, part: Json) -> Attachment:
    return Attachment(
        device=entry["devname"].text(""),
        ifindex=entry["ifindex"].integer(),
        kind=f"xdp/{part['mode'].text('')}",
        direction=Direction.INGRESS,
        attach=AttachKind.XDP,
        program="",
        program_id=part["id"].integer(),
    )


def _attachment(entry: Json) -> Attachment:
    device = entry["devname"].text("")
    kind = entry["kind"].text()
    # what is left are filters at clsact/egress and those of other qdiscs, which all see packets that leave
    direction, attach = _HOOKS.get(kind, (Direction.EGRESS, AttachKind.TC))
    return Attachment(
        device=device,
        ifindex=entry["ifindex"].integer(),
        kind=kind,
        direction=direction,
        attach=attach,
        program=entry["name"].text("").removesuffix(f"-{device}"),
        program_id=(entry["prog_id"] or entry["id"]).integer(),
    )


def endpoint_link(node: str, endpoint: int, program: str) -> Question:
    """The link that holds a program at an endpoint's lxc device (tcx, netkit)."""
    path = f"{_LINKS}/endpoints/{endpoint_id(endpoint)}/links/{program}"
    return _ask(node, "link", "show", "pinned", path)


def device_link(node: str, device: str, program: str) -> Question:
    """The link that holds a program at a device of the host (tcx)."""
    owner = device_name(device).replace(".", "-")
    return _ask(node, "link", "show", "pinned", f"{_LINKS}/devices/{owner}/links/{program}")


@parser("bpftool link show", exit_codes=range(256))  # of one link, it is whatever errno happens to be
def parse_link(answer: Answer) -> PinnedLink | Absent | Unavailable:
    """The link; absent where nothing is pinned, as always with tc."""
    shown = Json.parse(answer.stdout).only()
    if shown["error"]:
        gone = "No such file or directory" in shown["error"].text()
        return Absent() if gone else failed(answer, "bpftool link show")
    return PinnedLink(
        id=shown["id"].integer(),
        program_id=shown["prog_id"].integer(),
        ifindex=shown["ifindex"].integer() if shown["ifindex"] else None,
    )


def is_program(shown: str, name: str) -> bool:
    """Whether what a tool shows is this program; the kernel cuts names after 15 characters."""
    return shown == name or (len(shown) == _KERNEL_NAME_LENGTH and name.startswith(shown))


def _ask(node: str, *words: str, often_absent: bool = False) -> Question:
    return Question(node, ("bpftool", "-j", *words), often_absent=often_absent)
