"""Tolerant access to the JSON of API objects: whatever is missing or of another type is as if absent.

In: any JSON value. Out: plain values, never an exception. Called by the other modules of `kube.objects`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Protocol

Skips = Counter[str]
"""What could not be used, counted by kind and field, such as `Pod.status.podIPs`."""


def at(value: object, *path: str) -> object:
    """The value under nested keys, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: object, *path: str, default: str = "") -> str:
    """The string there; `default` when there is none or it is empty."""
    found = at(value, *path)
    return found if isinstance(found, str) and found else default


def integer(value: object, *path: str) -> int | None:
    """The whole number there, or None; JSON's true and false are no numbers."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def moment(value: object, *path: str) -> float:
    """The time there (RFC 3339) in seconds since the epoch; 0 where there is none."""
    try:
        return datetime.fromisoformat(text(value, *path)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def elements(value: object, *path: str) -> list[object]:
    """The list there, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def texts(value: object, *path: str) -> Mapping[str, str]:
    """The strings of the mapping there, such as labels or a ConfigMap's data."""
    found = at(value, *path)
    if not isinstance(found, dict):
        return {}
    return {key: item for key, item in found.items() if isinstance(item, str)}


def addresses(values: Iterable[object], skips: Skips, field: str) -> tuple[str, ...]:
    """Canonical IP addresses without duplicates, IPv4 first; what is none is counted, what is absent not."""
    return _canonical(ip_address, values, skips, field)


def networks(values: Iterable[object], skips: Skips, field: str) -> tuple[str, ...]:
    """Canonical CIDRs without duplicates, IPv4 first; otherwise as `addresses`."""
    return _canonical(partial(ip_network, strict=False), values, skips, field)


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


def _canonical(
    parse: Callable[[str], _Versioned], values: Iterable[object], skips: Skips, field: str
) -> tuple[str, ...]:
    found = []
    for value in values:
        if value is None or value == "":
            continue
        try:
            found.append(parse(value if isinstance(value, str) else ""))
        except ValueError:
            skips[field] += 1
    return tuple(dict.fromkeys(str(parsed) for parsed in sorted(found, key=lambda parsed: parsed.version)))


def condition(value: object, type_: str) -> bool:
    """Whether `status.conditions` holds this type with status "True"."""
    return text(_condition(value, type_), "status") == "True"


def condition_changed_at(value: object, type_: str) -> float:
    """When that condition last changed its status, seconds since the epoch; 0 where it does not say."""
    return moment(_condition(value, type_), "lastTransitionTime")


def _condition(value: object, type_: str) -> object:
    found = (entry for entry in elements(value, "status", "conditions") if text(entry, "type") == type_)
    return next(found, None)


def last_written(value: object) -> float:
    """When anybody last changed a field of the object, as the API server noted it; seconds since the epoch, or 0."""
    return max((moment(entry, "time") for entry in elements(value, "metadata", "managedFields")), default=0.0)
