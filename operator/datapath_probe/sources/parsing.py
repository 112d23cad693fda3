"""From readings to values: what all parsers of `sources` share.

A parser is written as a function of an `Answer` that raises ValueError for output that it does not understand.
`@parser` turns it into a function of a `Reading` that never raises.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import TypeVar

from ..evidence.errors import EvidenceError
from ..evidence.internal_error import internal_error
from ..evidence.reading import Answer, Reading, Unavailable
from ..visible import visible

T = TypeVar("T")

_LINE_LIMIT = 200  # characters of a tool's output in a message
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1  # integers of C, signed and unsigned


def parser(
    what: str, exit_codes: Collection[int] = (0,)
) -> Callable[[Callable[[Answer], T]], Callable[[Reading], T | Unavailable]]:
    """Decorate a parser of complete answers. `what` names the output; other exit codes are failures."""

    def decorate(parse: Callable[[Answer], T]) -> Callable[[Reading], T | Unavailable]:
        @wraps(parse)
        def parsed(reading: Reading) -> T | Unavailable:
            if isinstance(reading, Unavailable):
                return reading
            if reading.truncated:
                return truncated(reading, what)
            if reading.exit_code not in exit_codes:
                return failed(reading, what)
            try:
                return parse(reading)
            except (ValueError, OverflowError, RecursionError) as error:
                return Unavailable(EvidenceError.UNPARSABLE, f"{what}: {line(str(error))}", reading.at)
            except Exception as error:
                return internal_error(f"the parser of {what}", error, reading.at)

        return parsed

    return decorate


def failed(answer: Answer, what: str) -> Unavailable:
    """The command failed; bpftool prints the reason on stdout, all others on stderr."""
    said = line(answer.stderr) or line(answer.stdout) or "nothing printed"
    return Unavailable(
        EvidenceError.COMMAND_FAILED, f"{what}: exit code {answer.exit_code}: {said}", answer.at
    )


def truncated(answer: Answer, what: str) -> Unavailable:
    """The output reached its limit: the missing part may be the relevant one."""
    return Unavailable(
        EvidenceError.TRUNCATED, f"{what}: output cut after {len(answer.stdout)} bytes", answer.at
    )


def line(text: str | bytes) -> str:
    """The first line that is not empty, printable and shortened for a message."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    first = next((part.strip() for part in text.splitlines() if part.strip()), "")
    return visible(first[:_LINE_LIMIT])[:_LINE_LIMIT]


class Json:
    """A JSON value, accessed by type.

    A missing member is falsy. Reading a missing value, or a value of another type, raises ValueError.
    """

    __slots__ = ("_place", "_value")

    def __init__(self, value: object, place: str = "document") -> None:
        self._value = value
        self._place = place

    @classmethod
    def parse(cls, text: bytes | str) -> "Json":
        """Decode JSON. Raises ValueError or RecursionError if it is invalid."""
        return cls(json.loads(text))

    def __bool__(self) -> bool:
        return self._value is not None

    def __getitem__(self, key: str) -> "Json":
        if not isinstance(self._value, dict):
            raise self._unlike("an object")
        return Json(self._value.get(key), key)

    def __iter__(self) -> Iterator["Json"]:
        if not isinstance(self._value, list):
            raise self._unlike("a list")
        return (Json(value, self._place) for value in self._value)

    def items(self) -> Iterator[tuple[str, "Json"]]:
        """The members of an object, by name; none if it is missing."""
        if self._value is not None and not isinstance(self._value, dict):
            raise self._unlike("an object")
        return ((key, Json(value, key)) for key, value in (self._value or {}).items())

    def values(self) -> Iterator["Json"]:
        """The members of an object without their names."""
        return (value for _, value in self.items())

    def maybe(self, key: str) -> "Json":
        """A member of an object that may itself be missing."""
        return self[key] if self else Json(None, key)

    def all(self) -> tuple["Json", ...]:
        """The elements of a list; a value that is not a list counts as one element (tools differ)."""
        return tuple(self) if isinstance(self._value, list) else (self,)

    def only(self) -> "Json":
        """The only element of a list, or the value itself if it is not a list."""
        if not isinstance(self._value, list):
            return self
        if len(self._value) != 1:
            raise ValueError(f"{len(self._value)} entries in {self._place} instead of one")
        return Json(self._value[0], self._place)

    def text(self, default: str | None = None) -> str:
        value = default if self._value is None else self._value
        if not isinstance(value, str):
            raise self._unlike("a string")
        value.encode()  # an unpaired surrogate is valid JSON but can't be encoded
        return value

    def octets(self) -> bytes:
        """Bytes, printed as a list of hexadecimal numbers."""
        if not isinstance(self._value, list):
            raise self._unlike("a list")
        try:
            return bytes(int(octet, 16) for octet in self._value)
        except TypeError:
            raise ValueError(f"{line(self._place)} is not a list of hexadecimal numbers") from None

    def integer(self, default: int | None = None) -> int:
        value = default if self._value is None else self._value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._unlike("an integer")
        if not _LEAST <= value <= _MOST:
            raise ValueError(f"{line(self._place)} needs more than 64 bits")
        return value

    def unsigned(self, bits: int, default: int | None = None) -> int:
        """An integer of this many bits: an id, a port, an index. Facts are built from them."""
        value = self.integer(default)
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{line(self._place)} does not fit into {bits} bits")
        return value

    def boolean(self, default: bool | None = None) -> bool:
        value = default if self._value is None else self._value
        if not isinstance(value, bool):
            raise self._unlike("true or false")
        return value

    def number(self, default: float | None = None) -> float:
        value = default if self._value is None else self._value
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self._unlike("a number")
        return float(value)

    def _unlike(self, kind: str) -> ValueError:
        found = "missing" if self._value is None else f"of type {type(self._value).__name__}"
        return ValueError(f"{line(self._place)} is not {kind} but {found}")
