"""Entries of pinned maps, read by bpf(2), and printed as `bpftool -j map lookup` prints them.

Called by `collectors`. A look-up takes microseconds; a process takes milliseconds. Maps are opened for reading only, so
nothing can be changed through them.
Source: Linux `include/uapi/linux/bpf.h`; bpftool 7.5 `map.c`.
"""

import ctypes
import errno
import json
import os
import platform
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...tools.commands import MAPS

_SYSCALL: Final = {"x86_64": 321, "aarch64": 280}
_LOOKUP, _OBJ_GET, _INFO_BY_FD = 1, 7, 15
_READ_ONLY = 1 << 3  # BPF_F_RDONLY
_ATTRIBUTES = 128
_INFO = struct.Struct("=IIIII")  # bpf_map_info: type, id, key_size, value_size, max_entries
_INFO_SIZE = 96
_LARGEST_VALUE = 64 * 1024
# Maps whose values are of each CPU, which no fact asks for.
_PER_CPU: Final = frozenset((5, 6, 10, 21))
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_OCTETS: Final = tuple(f"0x{octet:02x}" for octet in range(256))


@dataclass(frozen=True, slots=True)
class Printed:
    """What bpftool would print, and its exit code."""

    exit_code: int
    text: bytes


def lookup(name: str, key: bytes) -> Printed:
    """The entry of a map that is pinned under this name."""
    try:
        map_fd = _open(f"{MAPS}/{name}")
    except OSError as error:
        return _failed(255, f"bpf obj get ({MAPS}/{name}): {error.strerror}")
    try:
        kind, _, key_size, value_size, _ = _info(map_fd)
        if key_size != len(key):
            return _failed(255, f"key has {len(key)} bytes, and those of the map have {key_size}")
        if kind in _PER_CPU or value_size > _LARGEST_VALUE:
            return _failed(255, "values of this map are not read")
        value = _entry(map_fd, key, value_size)
    except OSError as error:
        return _failed(255, f"lookup failed: {error.strerror}")
    finally:
        os.close(map_fd)
    if value is None:
        return Printed(254, b"null\n")
    return Printed(0, _json({"key": _hex(key), "value": _hex(value)}))


def is_supported() -> bool:
    """Whether the number of the system call is known for this machine."""
    return platform.machine() in _SYSCALL and Path(MAPS).is_dir()


def _open(path: str) -> int:
    name = ctypes.create_string_buffer(os.fsencode(path))
    return _bpf(_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, _READ_ONLY))


def _info(map_fd: int) -> tuple[int, ...]:
    info = ctypes.create_string_buffer(_INFO_SIZE)
    _bpf(_INFO_BY_FD, struct.pack("=IIQ", map_fd, _INFO_SIZE, ctypes.addressof(info)))
    return _INFO.unpack_from(info)


def _entry(map_fd: int, key: bytes, value_size: int) -> bytes | None:
    """The value; None if there is none."""
    # the kernel writes values in units of 8 bytes
    keys, value = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value_size + 7)
    request = struct.pack("=IIQQQ", map_fd, 0, ctypes.addressof(keys), ctypes.addressof(value), 0)
    try:
        _bpf(_LOOKUP, request)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return value.raw[:value_size]


def _bpf(command: int, attributes: bytes) -> int:
    """Raises OSError."""
    buffer = ctypes.create_string_buffer(attributes, _ATTRIBUTES)
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"bpf is not known on {platform.machine()}")
    result: int = _LIBC.syscall(number, command, buffer, ctypes.c_uint(_ATTRIBUTES))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _failed(exit_code: int, message: str) -> Printed:
    return Printed(exit_code, _json({"error": message}))


def _hex(octets: bytes) -> list[str]:
    return [_OCTETS[octet] for octet in octets]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
