"""The network of the lab: a bridge in its own network namespace, the fabric, connects the nodes.

There is no route out; the machine's network namespace has only a listener on loopback (`forward`). Namespaces are
unnamed: each lives as long as its processes, so none can be left behind. Called by `lifecycle`, `node` and the fault
bench.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import cgroups
from lab.paths import STATE
from lab.processes import Process, start_detached
from lab.settings import NODE_SUBNET_PREFIX, NODE_SUBNET_PREFIX_V6
from lab.shell import LabError, run, wait_until

BRIDGE = "fabric"
_RECORD = STATE / "fabric.json"
# IPv4, UDP, port 8472: drop (2), else continue; classic BPF, since kernels may lack other classifiers
_DROP_TUNNEL = (
    "9,40 0 0 12,21 0 5 2048,48 0 0 23,21 0 3 17,177 0 0 14,72 0 0 16,21 1 0 8472,6 0 0 4294967295,6 0 0 2"
)


def start_fabric(init_program: Path, *, dual_stack: bool = False) -> None:
    cgroups.create("fabric")
    holder = start_detached(
        cgroups.joining("fabric", "unshare", "--net", str(init_program)), STATE / "log" / "fabric.log"
    )
    own = Path("/proc/self/ns/net").readlink()
    wait_until("the fabric starts", lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own, 10, 0.01)
    holder.save(_RECORD)
    ip(holder, "link", "add", BRIDGE, "type", "bridge")
    ip(holder, "addr", "add", f"{NODE_SUBNET_PREFIX}.1/24", "dev", BRIDGE)
    if dual_stack:
        _add_v6(holder, f"{NODE_SUBNET_PREFIX_V6}:1", BRIDGE)
    ip(holder, "link", "set", BRIDGE, "up")


def attach(node: str, init: Process, address: str, address_v6: str | None = None) -> None:
    """Connect a node's network namespace to the bridge, as its `eth0`."""
    fabric = Process.load(_RECORD)
    if fabric is None:
        raise LabError("the fabric between the nodes is not running")
    ip(fabric, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", str(init.pid))
    ip(fabric, "link", "set", node, "master", BRIDGE, "up")
    ip(init, "link", "set", "lo", "up")
    ip(init, "addr", "add", f"{address}/24", "dev", "eth0")
    ip(init, "link", "set", "eth0", "up")
    ip(init, "route", "add", "default", "via", f"{NODE_SUBNET_PREFIX}.1")
    if address_v6:
        _add_v6(init, address_v6, "eth0")
        ip(init, "-6", "route", "add", "default", "via", f"{NODE_SUBNET_PREFIX_V6}:1", "dev", "eth0")


def _add_v6(holder: Process, address: str, device: str) -> None:
    """Usable at once: addresses are not checked for duplicates."""
    ip(holder, "addr", "add", f"{address}/64", "dev", device, "nodad")


@contextmanager
def tunnel_cut(sender: str) -> Iterator[None]:
    """The fabric drops the VXLAN packets of one node, and no others."""
    fabric = Process.load(_RECORD)
    if fabric is None:
        raise LabError("the fabric between the nodes is not running")
    tc = ("nsenter", f"--net=/proc/{fabric.pid}/ns/net", "tc")
    run(*tc, "qdisc", "add", "dev", sender, "clsact")
    try:
        run(*tc, "filter", "add", "dev", sender, "ingress", "bpf", "da", "bytecode", _DROP_TUNNEL)
        yield
    finally:
        run(*tc, "qdisc", "del", "dev", sender, "clsact")


def ip(holder: Process, *argv: str) -> None:
    """Run `ip` in the network namespace of a process."""
    run("nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip", *argv)
