"""What a parameter of a fact can be: each function gives the one spelling of a value, or raises ValueError.

Some collectors make words of a command line or parts of a path of them: what passes here can be neither an option, nor
a path of its own, nor more than one word.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address

Scalar = str | int
Value = Scalar | tuple[Scalar, ...]
Check = Callable[[object], Value]

_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,127}")
_PATH = re.compile(r"/[^\x00-\x1f]{1,4000}")


def fitting(number: object, bits: int) -> int:
    """The number itself; ValueError if it is negative or needs more bits."""
    if not isinstance(number, int) or not 0 <= number < 1 << bits:
        raise ValueError(f"{number!r} does not fit into {bits} bits")
    return int(number)


def bits(size: int) -> Check:
    """A number of so many bits."""
    return lambda value: fitting(value, size)


def address(value: object) -> str:
    """An IP address without a zone (`%eth0`)."""
    found = ip_address(_text(value))
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        raise ValueError(f"{value!r} has a zone")
    return str(found)


def device_name(value: object) -> str:
    """The name of a network device."""
    return _matching(_DEVICE, value, "is not the name of a network device")


def namespace_name(value: object) -> str:
    """The name of a network namespace."""
    return _matching(_NAMESPACE, value, "is no name of a network namespace")


def is_namespace_name(text: str) -> bool:
    """Whether it can be one."""
    return _NAMESPACE.fullmatch(text) is not None


def name(value: object) -> str:
    """The name of an eBPF map or program."""
    return _matching(_NAME, value, "is no name of an eBPF object")


def path(value: object) -> str:
    """An absolute path."""
    return _matching(_PATH, value, "is no absolute path")


def one_of(*values: Scalar) -> Check:
    """One of these."""

    def check(value: object) -> Value:
        for known in values:
            if known == value:
                return known
        raise ValueError(f"{value!r} is none of {', '.join(map(str, values))}")

    return check


def several(check: Callable[[object], Scalar]) -> Check:
    """One or more, in their order."""

    def each(value: object) -> Value:
        if not isinstance(value, Iterable) or isinstance(value, str):
            raise ValueError(f"{value!r} is no list")
        found = tuple(map(check, value))
        if not found:
            raise ValueError("an empty list")
        return found

    return each


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no IP address")
    return value


def _matching(pattern: re.Pattern[str], value: object, otherwise: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r} {otherwise}")
    return value
