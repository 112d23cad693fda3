"""A fact: what checks ask for and what evidence is filed under ("the ipcache entry of 10.244.0.7 on node1").

How a fact is collected is up to the collector. A change of a tool's options therefore invalidates no recording, and the
same checks read a saved run, a live run and a dump from another tool. Made by `sources`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from ..addresses import IpAddress
from .fact_kinds import PARAMETERS, FactKind
from .parameters import Value

# Checks ask for the same facts many times during a run.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Fact:
    """`parameters`: names and values in the order of `PARAMETERS`; equal facts share one answer.

    Raises ValueError for an unknown or missing parameter, or an invalid value.
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

    def __reduce__(self) -> tuple[object, ...]:
        """Another process has other hashes of the same texts."""
        return type(self), (self.kind, self.node, self.parameters)

    @classmethod
    @lru_cache(maxsize=_REMEMBERED)
    def of(cls, kind: FactKind, node: str, **parameters: Value | IpAddress | None) -> Self:
        """The fact with these parameters. A parameter that is None is left out."""
        given = ((name, value) for name, value in parameters.items() if value is not None)
        return cls(kind, node, tuple((name, _value(value)) for name, value in given))

    def get(self, name: str) -> Value | None:
        """The value of a parameter; None if the fact does not have it."""
        return next((value for known, value in self.parameters if known == name), None)

    def text(self, name: str) -> str:
        """The value of a parameter that is a string. Raises KeyError if there is none."""
        value = self.get(name)
        if not isinstance(value, str):
            raise KeyError(name)
        return value

    def number(self, name: str) -> int:
        """The value of a parameter that is a number. Raises KeyError if there is none."""
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


def _value(value: Value | IpAddress) -> Value:
    return str(value) if isinstance(value, IPv4Address | IPv6Address) else value


def _shown(value: Value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
