"""A fact: what checks ask for, and what evidence is filed under ("the ipcache entry of 10.244.0.7 on node1").

How it is had is a collector's affair. So a change of a tool's flags voids no recording, and a saved run, a live one and
a dump that somebody else took are read by the same checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from .fact_kinds import PARAMETERS, FactKind
from .parameters import Value

# Checks ask for the same facts again and again while a run lasts.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Fact:
    """`parameters`: names and values as `PARAMETERS` orders them; equal facts share one answer.

    ValueError for an unknown or a missing parameter, or a value that it can't have.
    """

    kind: FactKind
    node: str
    parameters: tuple[tuple[str, Value], ...] = ()
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", _canonical(self.kind, dict(self.parameters)))
        object.__setattr__(self, "_hash", hash((self.kind, self.node, self.parameters)))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    @lru_cache(maxsize=_REMEMBERED)
    def of(cls, kind: FactKind, node: str, **parameters: Value | None) -> Self:
        """The fact with these parameters; None: without this one."""
        given = tuple((name, value) for name, value in parameters.items() if value is not None)
        return cls(kind, node, given)

    def get(self, name: str) -> Value | None:
        """The value of a parameter; None if the fact is without."""
        return next((value for known, value in self.parameters if known == name), None)

    def text(self, name: str) -> str:
        """The value of a parameter that is a text; KeyError if there is none."""
        value = self.get(name)
        if not isinstance(value, str):
            raise KeyError(name)
        return value

    def number(self, name: str) -> int:
        """The value of a parameter that is a number; KeyError if there is none."""
        value = self.get(name)
        if not isinstance(value, int):
            raise KeyError(name)
        return value

    def __str__(self) -> str:
        values = ", ".join(f"{name} {_shown(value)}" for name, value in self.parameters)
        return f"{self.kind} on {self.node}{f' ({values})' if values else ''}"


def _canonical(kind: FactKind, given: Mapping[str, object]) -> tuple[tuple[str, Value], ...]:
    known = PARAMETERS[kind]
    checks = {**known.required, **known.optional}
    unknown = given.keys() - checks.keys()
    if unknown:
        raise ValueError(f"{kind} has no parameter {min(unknown)}")
    missing = known.required.keys() - given.keys()
    if missing:
        raise ValueError(f"{kind} lacks its parameter {min(missing)}")
    return tuple((name, check(given[name])) for name, check in checks.items() if name in given)


def _shown(value: Value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
