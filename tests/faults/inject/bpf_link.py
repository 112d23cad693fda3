"""Creates a bpf_link and pins it: a program of its own, run inside a node by `programs`. bpftool can't do this.

usage: bpf_link.py PIN PROGRAM_ID cgroup DIRECTORY | bpf_link.py PIN PROGRAM_ID tcx/ingress|tcx/egress IFINDEX

At a device the program runs before all others. Source: Linux `include/uapi/linux/bpf.h`.
"""

import ctypes
import os
import struct
import sys

_SYSCALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_OBJ_PIN, _PROG_GET_FD_BY_ID, _LINK_CREATE = 6, 13, 28
_INET4_CONNECT, _TCX = 10, {"tcx/ingress": 46, "tcx/egress": 47}
_BEFORE = 1 << 3  # without another program: before all


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, 128)
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(_SYSCALL, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}: {os.strerror(ctypes.get_errno())}")
    return result


def main(pin: str, program_id: str, hook: str, target: str) -> None:
    """Attach the program and keep it attached."""
    program = _bpf(_PROG_GET_FD_BY_ID, struct.pack("I", int(program_id)))
    if hook == "cgroup":
        place = (os.open(target, os.O_RDONLY | os.O_DIRECTORY), _INET4_CONNECT, 0)
    else:
        place = (int(target), _TCX[hook], _BEFORE)
    link = _bpf(_LINK_CREATE, struct.pack("IIII", program, *place))
    path = ctypes.create_string_buffer(pin.encode())
    _bpf(_OBJ_PIN, struct.pack("QI", ctypes.addressof(path), link))


if __name__ == "__main__":
    main(*sys.argv[1:])
