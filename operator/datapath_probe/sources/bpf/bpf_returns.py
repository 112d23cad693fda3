"""What a loaded eBPF program can return: whether it lets packets pass, drops them or redirects them.

A foreign program at a device of the path does not prove a loss: most only observe. So its code is followed as far as
constants go: from the first instruction to each exit, whatever the conditions of jumps.
Source: Linux 6.x `tools/bpf/bpftool` (`prog dump xlated`), `kernel/bpf/disasm.c`; `include/uapi/linux/{bpf,pkt_cls}.h`.
"""

import re
from collections.abc import Mapping, Sequence

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser
from .bpftool import AttachKind

# Verdicts, as unsigned numbers. TC_ACT_UNSPEC (TCX_NEXT) passes a packet on to the next program; the others in _PASSING
# skip that program and let the packet pass. XDP_PASS does both.
_NEXT = 0xFFFFFFFF
_XDP_PASS = 2
_PASSING = frozenset({_NEXT, 0, 1, 3})  # TC_ACT_OK, TC_ACT_RECLASSIFY, TC_ACT_PIPE

_MOVED = re.compile(r"\((?:b7|b4|18)\) [rw](\d) = (-?\d+|0x[0-9a-f]+)(?:ll)?")
_COPIED = re.compile(r"\((?:bf|bc)\) [rw](\d) = [rw](\d)")
_WRITTEN = re.compile(r"\(..\) [rw](\d) [^a-z]*=")
_JUMP = re.compile(r"goto pc([+-]\d{1,6})")
_CONDITION = "if "
_LINE_LIMIT = 256  # characters of an instruction; it has about 40
_TAIL_CALL = "tail_call"
_CALL, _EXIT, _DOUBLE = "(85)", "(95)", "(18)"
_STEPS = 20_000
_MOST_VALUES = 64  # of one register; with more it can have any

Values = frozenset[int] | None
"""The possible values of a register; None: any."""

_Registers = tuple[Values, ...]
_UNKNOWN: _Registers = (None,) * 10


def fact(node: str, program_id: int) -> Fact:
    """The program's instructions."""
    return Fact.of(FactKind.PROGRAM_CODE, node, id=program_id)


@parser("bpftool prog dump")
def parse(answer: Answer) -> Values:
    """The constants that the program can return; None if it can return a computed or received value."""
    code: dict[int, str] = {}
    place = 0
    for shown in Json.parse(answer.stdout).all():
        code[place] = shown["disasm"].text()
        if len(code[place]) > _LINE_LIMIT:
            raise ValueError(f"an instruction of {len(code[place])} characters")
        place += 2 if code[place].startswith(_DOUBLE) else 1
    return _returned(code)


def taken(values: Values, attach: AttachKind, *, before_another: bool) -> frozenset[int] | None:
    """Of these verdicts, those that stop a packet; None if that can't be determined.

    `before_another`: another program after this one must see the packet.
    """
    if values is None:
        return None
    if attach is AttachKind.XDP:
        return values - {_XDP_PASS}
    return values - ({_NEXT} if before_another else _PASSING)


def _returned(code: Mapping[int, str]) -> Values:
    """Follow all branches of the code until no register gets new values. Raises ValueError if that does not end."""
    known: dict[int, _Registers] = {}
    todo: list[tuple[int, _Registers]] = [(0, _UNKNOWN)]
    returned: Values = frozenset()
    for _ in range(_STEPS):
        if not todo:
            return returned
        place, registers = todo.pop()
        before = known.get(place)
        registers = registers if before is None else tuple(map(_either, before, registers))
        if registers == before:
            continue
        known[place] = registers
        text = code.get(place)
        if text is None:
            raise ValueError(f"a jump to {place}, which is not an instruction")
        if _TAIL_CALL in text:
            return None
        if text.startswith(_EXIT):
            returned = _either(returned, registers[0])
            continue
        todo.extend((after, _written(text, registers)) for after in _next(place, text))
    raise ValueError("too many instructions to follow")


def _next(place: int, text: str) -> Sequence[int]:
    following = place + (2 if text.startswith(_DOUBLE) else 1)
    jump = None if text.startswith(_CALL) else _JUMP.search(text)
    if jump is None:
        return (following,)
    target = place + 1 + int(jump[1])
    return (following, target) if _CONDITION in text[: jump.start()] else (target,)


def _written(text: str, registers: _Registers) -> _Registers:
    """The registers after this instruction."""
    if text.startswith(_CALL):
        return (*_UNKNOWN[:6], *registers[6:])
    if moved := _MOVED.fullmatch(text):
        return _with(registers, int(moved[1]), frozenset({int(moved[2], 0) & 0xFFFFFFFF}))
    if copied := _COPIED.fullmatch(text):
        source = int(copied[2])
        return _with(registers, int(copied[1]), registers[source] if source < len(registers) else None)
    if written := _WRITTEN.match(text):
        return _with(registers, int(written[1]), None)
    return registers


def _with(registers: _Registers, number: int, values: Values) -> _Registers:
    return tuple(values if i == number else old for i, old in enumerate(registers))


def _either(one: Values, other: Values) -> Values:
    if one is None or other is None:
        return None
    either = one | other
    return either if len(either) <= _MOST_VALUES else None
