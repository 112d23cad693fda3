"""Foreign programs that drop the traffic of the scene: tc filters of a clsact qdisc, or XDP.

In: a node and a device, possibly inside a pod. Compiled with the clang of the agent image. Used by the catalog.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from faults.inject.agent import in_agent
from faults.inject.devices import link
from faults.inject.in_place import InPlace
from faults.inject.maps import MapEntry, program_replaced
from faults.inject.programs import create_link
from lab.cluster import Lab

_PINNED = "/sys/fs/bpf/faults-foreign"
_PRIORITY = "7"
# IPv4 and UDP to port 8472, or TCP: drop (2), else continue
_DROP_TUNNEL = (
    "9,40 0 0 12,21 0 5 2048,48 0 0 23,21 0 3 17,177 0 0 14,72 0 0 16,21 1 0 8472,6 0 0 4294967295,6 0 0 2"
)
_DROP_TCP = "6,40 0 0 12,21 0 2 2048,48 0 0 23,21 1 0 6,6 0 0 4294967295,6 0 0 2"
_SOURCE = """
typedef unsigned int u32; typedef unsigned short u16; typedef unsigned char u8;
#define SEC(name) __attribute__((section(name), used))
struct skb { u32 fields[19]; u32 data; u32 data_end; };
struct xdp { u32 data; u32 data_end; };
static __attribute__((always_inline)) int matches(u8 *packet, u8 *end) {
  if (packet + 54 > end || packet[12] != 8 || packet[13])
    return 0;
  u16 source = packet[34] << 8 | packet[35], destination = packet[36] << 8 | packet[37];
  return packet[23] == 17 ? destination == 8472 : packet[23] == 6 && (source == 80 || destination == 80);
}
SEC("tc") int foreign_tc(struct skb *c) { return matches((u8 *)(long)c->data, (u8 *)(long)c->data_end) ? 2 : -1; }
SEC("xdp") int foreign_xdp(struct xdp *c) { return matches((u8 *)(long)c->data, (u8 *)(long)c->data_end) ? 1 : 2; }
SEC("tc") int foreign_observer(struct skb *c) { return -1; }
SEC("cgroup/connect4") int foreign_connect(void *c) { return 1; }
char terms[] SEC("license") = "GPL";
"""
_LOAD = f"""
printf %s "$0" > /tmp/faults-foreign.c
clang -O2 -target bpf -c /tmp/faults-foreign.c -o /tmp/faults-foreign.o
mkdir -p {_PINNED}
bpftool prog loadall /tmp/faults-foreign.o {_PINNED}
"""


@contextmanager
def tc_filter_on(lab: Lab, node: str, device: str, side: str, *, inside: str = "") -> Iterator[None]:
    """A tc filter at `ingress` or `egress` of a device."""
    program = ("bpf", "da", "pinned", f"{_PINNED}/foreign_tc")
    with _loaded(lab, node), _filtered(lab, node, device, side, program, _enter(inside)):
        yield


@contextmanager
def classic_filter_on(lab: Lab, node: str, device: str, side: str, *, inside: str = "") -> Iterator[None]:
    """The same with a classic BPF program, which bpftool does not list."""
    program = ("bpf", "da", "bytecode", _DROP_TUNNEL if device == "eth0" and not inside else _DROP_TCP)
    with _filtered(lab, node, device, side, program, _enter(inside)):
        yield


@contextmanager
def _filtered(
    lab: Lab, node: str, device: str, side: str, program: Sequence[str], enter: Sequence[str]
) -> Iterator[None]:
    """A filter, with a clsact qdisc if there is none: in tc mode Cilium has one."""
    at = ("dev", device)
    qdiscs = json.loads(in_agent(lab, node, *enter, "tc", "-j", "qdisc", "show", *at))
    added = all(qdisc["kind"] != "clsact" for qdisc in qdiscs)
    if added:
        in_agent(lab, node, *enter, "tc", "qdisc", "add", *at, "clsact")
    where = (*at, side, "prio", _PRIORITY)
    try:
        in_agent(lab, node, *enter, "tc", "filter", "add", *where, *program)
        yield
    finally:
        in_agent(lab, node, *enter, "tc", "filter", "del", *where)
        if added:
            in_agent(lab, node, *enter, "tc", "qdisc", "del", *at, "clsact")


@contextmanager
def xdp_on(lab: Lab, node: str, device: str) -> Iterator[None]:
    """A generic XDP program, which runs before all others."""
    change = ("ip", "link", "set", "dev", device, "xdpgeneric")
    with _loaded(lab, node):
        in_agent(lab, node, *change, "pinned", f"{_PINNED}/foreign_xdp")
        try:
            yield
        finally:
            in_agent(lab, node, *change, "off")


@contextmanager
def observer_on(lab: Lab, node: str, device: str, hook: str) -> Iterator[None]:
    """A program before all others that passes every packet on. `hook`: "tcx/ingress" or "tcx/egress"."""
    index = str(link(lab, node, device)["ifindex"])
    with _linked(lab, node, "foreign_observer", hook, index):
        yield


@contextmanager
def observer_of_sockets(lab: Lab, node: str) -> Iterator[None]:
    """A program that allows all connections, at the cgroup above those of all pods: it runs before Cilium's."""
    with _linked(lab, node, "foreign_connect", "cgroup", "/run/cilium/cgroupv2/kubepods"):
        yield


@contextmanager
def _linked(lab: Lab, node: str, program: str, hook: str, target: str) -> Iterator[None]:
    with _loaded(lab, node):
        shown = json.loads(
            in_agent(lab, node, "bpftool", "-j", "prog", "show", "pinned", f"{_PINNED}/{program}")
        )
        create_link(lab, node, f"{_PINNED}/link", shown["id"], hook, target)
        yield


@contextmanager
def in_place_of(lab: Lab, entry: MapEntry) -> Iterator[InPlace]:
    """A foreign program instead of Cilium's in a program array."""
    with (
        _loaded(lab, entry.node),
        program_replaced(entry, "pinned", f"{_PINNED}/foreign_tc") as in_place,
    ):
        yield in_place


@contextmanager
def _loaded(lab: Lab, node: str) -> Iterator[None]:
    in_agent(lab, node, "sh", "-ec", _LOAD, _SOURCE)
    try:
        yield
    finally:
        in_agent(lab, node, "rm", "-r", _PINNED)


def _enter(namespace: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/var/run/cilium/netns/{namespace}") if namespace else ()
