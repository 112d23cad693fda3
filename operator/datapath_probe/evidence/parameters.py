"""The valid values of parameters of facts: each function returns the canonical form of a value or raises ValueError.

Called by `fact`. Some collectors turn parameters into words of a command line or parts of a path. A value that passes
here can't be an option, another path, or more than one word.
"""

import re
from collections.abc import Callable, Iterable

from .. import addresses

Scalar = str | int
Value = Scalar | tuple[Scalar, ...]
Check = Callable[[object], Value]

_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,127}")
_CGROUP = re.compile(r"(?:/[\w.:@+=-]{0,254}[\w:@+=-]){1,64}", re.ASCII)  # no name is `.` or `..`
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")
_PATH = re.compile(r"/[^\x00-\x1f]{1,4000}")


def fitting(number: object, bits: int) -> int:
    """The number itself. Raises ValueError if it is negative or needs more bits."""
    if not isinstance(number, int) or not 0 <= number < 1 << bits:
        raise ValueError(f"{number!r} does not fit into {bits} bits")
    return int(number)


def bits(size: int) -> Check:
    """A number of this many bits."""
    return lambda value: fitting(value, size)


def address(value: object) -> str:
    """An IP address without a zone (`%eth0`)."""
    return str(addresses.address(_text(value)))


def device_name(value: object) -> str:
    """The name of a network device."""
    return _matching(_DEVICE, value, "is not the name of a network device")


def namespace_name(value: object) -> str:
    """The name of a network namespace."""
    return _matching(_NAMESPACE, value, "is not the name of a network namespace")


def is_namespace_name(text: str) -> bool:
    """Whether the text is a valid name."""
    return _NAMESPACE.fullmatch(text) is not None


def name(value: object) -> str:
    """The name of an eBPF map or program."""
    return _matching(_NAME, value, "is not the name of an eBPF object")


def is_name(text: str) -> bool:
    """Whether the text is a valid name of an eBPF object."""
    return _NAME.fullmatch(text) is not None


def path(value: object) -> str:
    """An absolute path."""
    return _matching(_PATH, value, "is not an absolute path")


def cgroup(value: object) -> str:
    """The folder of a cgroup."""
    return _matching(_CGROUP, value, "is not the folder of a cgroup")


def uid(value: object) -> str:
    """The UID of an object."""
    return _matching(_UID, value, "is not a UID")


def is_cgroup(text: str) -> bool:
    """Whether the text is a valid folder."""
    return _CGROUP.fullmatch(text) is not None


def is_uid(text: str) -> bool:
    """Whether the text is a valid UID."""
    return _UID.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether the text is a valid path."""
    return _PATH.fullmatch(text) is not None


def one_of(*values: Scalar) -> Check:
    """One of these values."""

    def check(value: object) -> Value:
        for known in values:
            if known == value:
                return known
        raise ValueError(f"{value!r} is not one of {', '.join(map(str, values))}")

    return check


def several(check: Callable[[object], Scalar]) -> Check:
    """One or more values, in order."""

    def each(value: object) -> Value:
        if not isinstance(value, Iterable) or isinstance(value, str):
            raise ValueError(f"{value!r} is not a list")
        found = tuple(map(check, value))
        if not found:
            raise ValueError("the list is empty")
        return found

    return each


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an IP address")
    return value


def _matching(pattern: re.Pattern[str], value: object, otherwise: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r} {otherwise}")
    return value
