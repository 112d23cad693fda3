"""Entries of pinned maps: changed, deleted, added. Leaving the context restores the entry byte for byte, unless the
agent has already done so.

In: a lab, a node, addresses and ids. Used by the catalog and by the e2e tests.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from faults.inject.agent import in_agent
from faults.inject.in_place import InPlace
from lab.cluster import Lab

_MAPS = "/sys/fs/bpf/tc/globals"
_KEPT = "/sys/fs/bpf/faults-kept"
_NO_SUCH_KEY = "null"


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One entry of a pinned map on a node."""

    lab: Lab
    node: str
    map: str
    key: bytes

    def find(self) -> bytes | None:
        """The value; None if there is no entry. A longest-prefix map returns its best match."""
        words = ("lookup", "pinned", f"{_MAPS}/{self.map}", "key", "hex", *_octets(self.key))
        found = in_agent(self.lab, self.node, "sh", "-c", 'bpftool -j map "$@" || true', "sh", *words)
        if found.strip() == _NO_SUCH_KEY:
            return None
        return bytes(int(octet, 16) for octet in json.loads(found)["value"])

    def read(self) -> bytes:
        """The value, which must exist."""
        value = self.find()
        assert value is not None, f"{self.map} on {self.node} has no {self.key.hex()}"
        return value

    def write(self, value: bytes) -> None:
        self._bpftool("update", "value", "hex", *_octets(value))

    def delete(self) -> None:
        self._bpftool("delete")

    def program(self) -> int:
        """The id of the program at this index of a program array."""
        return int.from_bytes(self.read(), "little")

    def pin_program(self) -> None:
        """Pin the program at this index of a program array, so that it is not freed."""
        number = self.program()
        in_agent(self.lab, self.node, "bpftool", "prog", "pin", "id", str(number), _KEPT)

    def write_program(self, *program: str) -> None:
        """Restore the pinned program, or write another one, in the notation of bpftool."""
        self._bpftool("update", "value", *(program or ("pinned", _KEPT)))

    def unpin_program(self) -> None:
        """Remove the pin."""
        in_agent(self.lab, self.node, "rm", _KEPT)

    def _bpftool(self, verb: str, *words: str) -> None:
        pinned = ("pinned", f"{_MAPS}/{self.map}")
        in_agent(
            self.lab, self.node, "bpftool", "map", verb, *pinned, "key", "hex", *_octets(self.key), *words
        )


@contextmanager
def changed(entry: MapEntry, change: Callable[[bytes], bytes]) -> Iterator[InPlace]:
    """An entry with another value."""
    value = entry.read()
    wrong = change(value)
    entry.write(wrong)
    try:
        yield lambda: entry.find() == wrong
    finally:
        # agents delete entries that look like a former address of their host
        if entry.find() in (wrong, None):
            entry.write(value)


@contextmanager
def deleted(entry: MapEntry) -> Iterator[InPlace]:
    """A map without one of its entries."""
    value = entry.read()
    entry.delete()
    with _restored(lambda: entry.find() != value, lambda: entry.write(value)) as in_place:
        yield in_place


@contextmanager
def added(entry: MapEntry, value: bytes) -> Iterator[InPlace]:
    """A map with an additional entry."""
    assert entry.find() is None, f"{entry.map} on {entry.node} has {entry.key.hex()} already"
    entry.write(value)
    with _restored(lambda: entry.find() == value, entry.delete) as in_place:
        yield in_place


@contextmanager
def program_missing(entry: MapEntry) -> Iterator[InPlace]:
    """A program array without the program at this index."""
    entry.pin_program()
    entry.delete()
    try:
        with _restored(lambda: entry.find() is None, entry.write_program) as in_place:
            yield in_place
    finally:
        entry.unpin_program()


@contextmanager
def program_replaced(entry: MapEntry, *program: str) -> Iterator[InPlace]:
    """A program array with another program at this index, in the notation of bpftool: "id" or "pinned", and a value."""
    entry.pin_program()
    entry.write_program(*program)
    try:
        with _restored(_unchanged(entry), entry.write_program) as in_place:
            yield in_place
    finally:
        entry.unpin_program()


def _unchanged(entry: MapEntry) -> InPlace:
    value = entry.read()
    return lambda: entry.find() == value


@contextmanager
def replaced_by_empty(lab: Lab, node: str, name: str) -> Iterator[InPlace]:
    """Another, empty map under this name, as an agent leaves it that did not reload its programs."""
    pinned = f"{_MAPS}/{name}"
    shown = _shown(lab, node, pinned)
    sizes = {"key": "bytes_key", "value": "bytes_value", "entries": "max_entries", "flags": "flags"}
    words = [word for key, found in sizes.items() for word in (key, str(shown[found]))]
    in_agent(lab, node, "mv", pinned, _KEPT)
    try:
        create = ("map", "create", pinned, "type", shown["type"], *words, "name", shown["name"])
        in_agent(lab, node, "bpftool", *create)
        empty = _shown(lab, node, pinned)["id"]
        yield lambda: _shown(lab, node, pinned)["id"] == empty
    finally:
        in_agent(lab, node, "mv", "-f", _KEPT, pinned)


@contextmanager
def _restored(in_place: InPlace, restore: Callable[[], None]) -> Iterator[InPlace]:
    """Restore the entry, unless the agent has repaired it meanwhile."""
    try:
        yield in_place
    finally:
        if in_place():
            restore()


def _shown(lab: Lab, node: str, pinned: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(in_agent(lab, node, "bpftool", "-j", "map", "show", "pinned", pinned))
    return found


def patched(offset: int, patch: bytes) -> Callable[[bytes], bytes]:
    """Overwrites some bytes of a value."""
    return lambda value: value[:offset] + patch + value[offset + len(patch) :]


def ipcache_entry(lab: Lab, node: str, ip: str) -> MapEntry:
    """A node's ipcache entry of a pod (/32, /128): prefix length, cluster id, padding, family, address."""
    prefix = 32 + ip_address(ip).max_prefixlen
    key = prefix.to_bytes(4, "little") + bytes((0, 0, 0, _family(ip))) + _packed16(ip)
    return MapEntry(lab, node, "cilium_ipcache_v2", key)


def endpoint_entry(lab: Lab, node: str, ip: str) -> MapEntry:
    """A node's endpoint map entry of an address: address, family, key, cluster id."""
    return MapEntry(lab, node, "cilium_lxc", _packed16(ip) + bytes((_family(ip), 0, 0, 0)))


def service_slot(lab: Lab, node: str, ip: str, port: int, number: int) -> MapEntry:
    """A slot of a Service's TCP port: address, port, number, protocol, scope. Slot 0 is the frontend."""
    key = ip_address(ip).packed + port.to_bytes(2, "big") + number.to_bytes(2, "little") + b"\x06\0\0\0"
    return MapEntry(lab, node, f"cilium_lb{ip_address(ip).version}_services_v2", key)


def service_backend(slot: MapEntry) -> MapEntry:
    """The backend entry of a slot."""
    return MapEntry(slot.lab, slot.node, slot.map.replace("services_v2", "backends_v3"), slot.read()[:4])


def reverse_nat(frontend: MapEntry) -> MapEntry:
    """The reverse NAT entry of a frontend (slot 0)."""
    name = frontend.map.replace("services_v2", "reverse_nat")
    return MapEntry(frontend.lab, frontend.node, name, frontend.read()[6:8])


def affinity_match(frontend: MapEntry, backend: bytes) -> MapEntry:
    """The entry that allows this backend for session affinity of a Service."""
    return replace(frontend, map="cilium_lb_affinity_match", key=backend + frontend.read()[6:8] + b"\0\0")


def affinity(frontend: MapEntry, client: str) -> MapEntry:
    """The session affinity entry of a Service and a client."""
    key = _packed16(client)[: max(8, len(ip_address(client).packed))]
    key += frontend.read()[6:8] + b"\0\0\0\0\0\0"
    return replace(frontend, map=frontend.map.replace("services_v2", "affinity"), key=key)


def affinity_value(lab: Lab, node: str, backend: bytes) -> bytes:
    """Value of a session affinity entry: last use (now, seconds since boot) and backend."""
    uptime_s = int(float(lab.run(node, "cat", "/proc/uptime").stdout.split()[0]))
    return uptime_s.to_bytes(8, "little") + backend + b"\0\0\0\0"


def policy_program(lab: Lab, node: str, endpoint: int) -> MapEntry:
    """The entry of an endpoint's policy program."""
    return MapEntry(lab, node, "cilium_call_policy", endpoint.to_bytes(4, "little"))


def tail_call(lab: Lab, node: str, endpoint: int, index: int) -> MapEntry:
    """The entry of an endpoint's tail call."""
    return MapEntry(lab, node, f"cilium_calls_{endpoint:05d}", index.to_bytes(4, "little"))


def host_tail_call(lab: Lab, node: str, index: int) -> MapEntry:
    """The entry of a tail call of `cilium_host`, the host endpoint."""
    shown = json.loads(in_agent(lab, node, "cilium-dbg", "endpoint", "list", "-o", "json"))
    host = next(e["id"] for e in shown if "reserved:host" in e["status"]["identity"]["labels"])
    return MapEntry(lab, node, f"cilium_calls_hostns_{host:05d}", index.to_bytes(4, "little"))


def overlay_tail_call(lab: Lab, node: str, index: int) -> MapEntry:
    """The entry of a tail call of the tunnel device."""
    return MapEntry(lab, node, "cilium_calls_overlay_2", index.to_bytes(4, "little"))


def _packed16(ip: str) -> bytes:
    """An address in the format of Cilium's map keys."""
    return ip_address(ip).packed.ljust(16, b"\0")


def _family(ip: str) -> int:
    """ENDPOINT_KEY_IPV4 or ENDPOINT_KEY_IPV6."""
    return 1 if ip_address(ip).version == 4 else 2


def _octets(data: bytes) -> list[str]:
    return [f"{octet:02x}" for octet in data]
