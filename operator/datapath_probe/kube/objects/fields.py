"""Tolerant access to the JSON of API objects: a value of the wrong type counts as absent.

In: any JSON value. Out: plain values, never an exception. Called by the other modules of `kube`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from ipaddress import ip_network
from typing import Protocol, TypeVar

from ...addresses import IpAddress, address

Skips = Counter[str]
"""Number of invalid values by kind and field, such as `Pod.status.podIPs`."""


def at(value: object, *path: str) -> object:
    """The value at a path of nested keys, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: object, *path: str, default: str = "") -> str:
    """The string at this path; `default` if it is absent or empty."""
    found = at(value, *path)
    return found if isinstance(found, str) and found else default


def integer(value: object, *path: str) -> int | None:
    """The integer at this path, or None; JSON booleans do not count."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def port_number(value: object, *path: str) -> int | None:
    """The port number at this path, or None; the API server accepts others in an EndpointSlice."""
    found = integer(value, *path)
    return found if found is not None and 0 <= found <= 0xFFFF else None


def unsigned(value: object, *path: str, bits: int) -> int:
    """The integer of this many bits at this path; 0 if it is absent or does not fit."""
    found = integer(value, *path) or 0
    return found if 0 <= found < 1 << bits else 0


def timestamp(value: object, *path: str) -> float:
    """The RFC 3339 time at this path in seconds since the epoch; 0 if there is none."""
    try:
        return datetime.fromisoformat(text(value, *path)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def elements(value: object, *path: str) -> list[object]:
    """The list at this path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def texts(value: object, *path: str) -> Mapping[str, str]:
    """The string values of the mapping at this path, such as labels or the data of a ConfigMap."""
    found = at(value, *path)
    if not isinstance(found, dict):
        return {}
    return {key: item for key, item in found.items() if isinstance(item, str)}


def addresses(values: Iterable[object], skips: Skips, field: str) -> tuple[IpAddress, ...]:
    """IP addresses without duplicates, IPv4 first. Invalid values are counted, absent ones are not."""
    return _distinct(address, values, skips, field)


def networks(values: Iterable[object], skips: Skips, field: str) -> tuple[str, ...]:
    """Canonical CIDRs without duplicates, IPv4 first; otherwise like `addresses`."""
    return tuple(map(str, _distinct(partial(ip_network, strict=False), values, skips, field)))


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


_Parsed = TypeVar("_Parsed", bound=_Versioned)


def _distinct(
    parse: Callable[[str], _Parsed], values: Iterable[object], skips: Skips, field: str
) -> tuple[_Parsed, ...]:
    found = []
    for value in values:
        if value is None or value == "":
            continue
        try:
            found.append(parse(value if isinstance(value, str) else ""))
        except ValueError:
            skips[field] += 1
    return tuple(dict.fromkeys(sorted(found, key=lambda parsed: parsed.version)))


def controller(value: object) -> str:
    """The uid of the object that controls this one; "" if there is none."""
    owners = elements(value, "metadata", "ownerReferences")
    return next((text(owner, "uid") for owner in owners if at(owner, "controller") is True), "")


def condition(value: object, type_: str) -> bool:
    """Whether the condition of this type has status "True"."""
    return text(_condition(value, type_), "status") == "True"


def condition_changed_at(value: object, type_: str) -> float:
    """`lastTransitionTime` of the condition in seconds since the epoch; 0 if absent."""
    return timestamp(_condition(value, type_), "lastTransitionTime")


def _condition(value: object, type_: str) -> object:
    found = (entry for entry in elements(value, "status", "conditions") if text(entry, "type") == type_)
    return next(found, None)


def last_written(value: object) -> float:
    """The latest time in `managedFields` in seconds since the epoch; 0 if absent."""
    return max(
        (timestamp(entry, "time") for entry in elements(value, "metadata", "managedFields")), default=0.0
    )
