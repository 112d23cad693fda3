"""Service conntrack entries that exist before the connection: they select the backend for the next source ports.

In: a lab, a pod, a Service's address, a backend's id. Used by the catalog.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from e2e.galaxy import Pod
from faults.inject.agent import in_agent
from faults.inject.maps import MapEntry
from lab.cluster import Lab

_MAP = "cilium_ct4_global"
_PINNED = f"/sys/fs/bpf/tc/globals/{_MAP}"
_TCP_SERVICE = bytes((6, 4))
_PORT = slice(8, 10)  # of the client, in the key
_BACKEND, _LIFETIME, _FLAGS = slice(8, 16), slice(32, 36), slice(36, 38)
_LAST_TX, _LAST_RX = slice(48, 52), slice(52, 56)
_LIFETIME_S, _AGE_S = 600, 60
_PORTS = 12


@contextmanager
def backend_chosen_before(lab: Lab, pod: Pod, service_ip: str, backend: bytes) -> Iterator[None]:
    """The pod's next connections to a Service go to this backend, regardless of its slots."""
    uptime_s = int(float(lab.run(pod.node, "cat", "/proc/uptime").stdout.split()[0]))
    key, value = _last(lab, pod, service_ip)
    poisoned = bytearray(value)
    poisoned[_BACKEND] = backend.ljust(8, b"\0")
    poisoned[_LIFETIME] = (uptime_s + _LIFETIME_S).to_bytes(4, "little")
    poisoned[_FLAGS] = bytes(2)
    poisoned[_LAST_TX] = poisoned[_LAST_RX] = max(1, uptime_s - _AGE_S).to_bytes(4, "little")
    last = int.from_bytes(key[_PORT], "big")
    entries = [
        MapEntry(lab, pod.node, _MAP, key[:8] + port.to_bytes(2, "big") + key[10:])
        for port in range(last + 1, last + 1 + _PORTS)
    ]
    for entry in entries:
        entry.write(bytes(poisoned))
    try:
        yield
    finally:
        for entry in entries:
            entry.delete()


def _last(lab: Lab, pod: Pod, service_ip: str) -> tuple[bytes, bytes]:
    """The entry of the pod's latest connection to the Service: source ports are assigned in order."""
    ends = ip_address(service_ip).packed + ip_address(pod.ip).packed
    shown = json.loads(in_agent(lab, pod.node, "bpftool", "-j", "map", "dump", "pinned", _PINNED))
    entries = [(_octets(entry["key"]), _octets(entry["value"])) for entry in shown]
    own = [entry for entry in entries if entry[0].startswith(ends) and entry[0].endswith(_TCP_SERVICE)]
    return max(own, key=lambda entry: (entry[1][_LAST_TX][::-1], entry[0][_PORT]))


def _octets(words: list[str]) -> bytes:
    return bytes(int(word, 16) for word in words)
