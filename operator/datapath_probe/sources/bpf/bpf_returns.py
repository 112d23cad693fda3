"""What a loaded eBPF program can return: whether it lets packets pass, or drops or takes some.

A program of another make at a device of the path is no proof of a loss: most watch. So its code is followed as far as
constants go: from its first instruction to each exit, whatever it was told to compare.
Source: Linux 6.x `tools/bpf/bpftool` (`prog dump xlated`), `kernel/bpf/disasm.c`; `include/uapi/linux/{bpf,pkt_cls}.h`.
"""

import re
from collections.abc import Mapping, Sequence

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser
from .bpftool import AttachKind

# Verdicts, as unsigned: TC_ACT_UNSPEC (TCX_NEXT) alone hands a packet on to the program behind; the others of PASSING
# let it pass. XDP_PASS does both.
_NEXT = 0xFFFFFFFF
_XDP_PASS = 2
_PASSING = frozenset({_NEXT, 0, 1, 3})  # TC_ACT_OK, TC_ACT_RECLASSIFY, TC_ACT_PIPE

_MOVED = re.compile(r"\((?:b7|b4|18)\) [rw](\d) = (-?\d+|0x[0-9a-f]+)(?:ll)?")
_COPIED = re.compile(r"\((?:bf|bc)\) [rw](\d) = [rw](\d)")
_WRITTEN = re.compile(r"\(..\) [rw](\d) [^a-z]*=")
_JUMP = re.compile(r"(if .*)?goto pc([+-]\d+)")
_TAIL_CALL = "tail_call"
_CALL, _EXIT, _DOUBLE = "(85)", "(95)", "(18)"
_STEPS = 20_000

Values = frozenset[int] | None
"""What a register can hold; None: anything."""

_Registers = tuple[Values, ...]
_UNKNOWN: _Registers = (None,) * 10


def fact(node: str, program_id: int) -> Fact:
    """The program's instructions."""
    return Fact.of(FactKind.PROGRAM_CODE, node, id=program_id)


@parser("bpftool prog dump")
def parse(answer: Answer) -> Values:
    """The constants that it can return; None where it can return what it has computed or been given."""
    code: dict[int, str] = {}
    place = 0
    for shown in Json.parse(answer.stdout).all():
        code[place] = shown["disasm"].text()
        place += 2 if code[place].startswith(_DOUBLE) else 1
    return _returned(code)


def taken(values: Values, attach: AttachKind, *, before_another: bool) -> frozenset[int] | None:
    """Of these verdicts those that keep a packet from going on; None where that can't be told.

    `before_another`: a program behind this one has to see the packet.
    """
    if values is None:
        return None
    if attach is AttachKind.XDP:
        return values - {_XDP_PASS}
    return values - ({_NEXT} if before_another else _PASSING)


def _returned(code: Mapping[int, str]) -> Values:
    """Follow all ways through the code until nothing new is found in any register. ValueError if it does not end."""
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
            raise ValueError(f"a jump to {place}, where no instruction is")
        if _TAIL_CALL in text:
            return None
        if text.startswith(_EXIT):
            returned = _either(returned, registers[0])
            continue
        todo.extend((after, _written(text, registers)) for after in _next(place, text))
    raise ValueError("too many instructions to follow")


def _next(place: int, text: str) -> Sequence[int]:
    behind = place + (2 if text.startswith(_DOUBLE) else 1)
    jump = None if text.startswith(_CALL) else _JUMP.search(text)
    if jump is None:
        return (behind,)
    target = place + 1 + int(jump[2])
    return (behind, target) if jump[1] else (target,)


def _written(text: str, registers: _Registers) -> _Registers:
    """The registers behind this instruction."""
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
    return None if one is None or other is None else one | other
