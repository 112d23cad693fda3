"""The network of the lab: a bridge in its own network namespace, the fabric, connects the nodes.

It routes between them and a host outside the cluster (`outside`). There is no route out; the machine's network
namespace has only a listener on loopback (`forward`). Namespaces are unnamed: each lives as long as its processes, so
none can be left behind. Called by `lifecycle`, `node`, `outside` and the fault bench.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import cgroups
from lab.paths import STATE
from lab.processes import Process, start_detached
from lab.settings import NODE_SUBNET_PREFIX_V6, ROUTER_IP
from lab.shell import LabError, run, wait_until

BRIDGE = "fabric"
_RECORD = STATE / "fabric.json"
# IPv4, UDP, port 8472: drop (2), else continue; classic BPF, since kernels may lack other classifiers
_DROP_TUNNEL = (
    "9,40 0 0 12,21 0 5 2048,48 0 0 23,21 0 3 17,177 0 0 14,72 0 0 16,21 1 0 8472,6 0 0 4294967295,6 0 0 2"
)


def start_fabric(init_program: Path, *, dual_stack: bool = False) -> None:
    cgroups.create("fabric")
    holder = start_namespace(init_program, "fabric")
    holder.save(_RECORD)
    ip(holder, "link", "add", BRIDGE, "type", "bridge")
    ip(holder, "addr", "add", f"{ROUTER_IP}/24", "dev", BRIDGE)
    if dual_stack:
        _add_v6(holder, f"{NODE_SUBNET_PREFIX_V6}:1", BRIDGE)
    ip(holder, "link", "set", BRIDGE, "up")
    in_network(holder, "sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")


def start_namespace(init_program: Path, name: str) -> Process:
    """A process that holds a network namespace of its own, among those of the fabric."""
    holder = start_detached(
        cgroups.joining("fabric", "unshare", "--net", str(init_program)), STATE / "log" / f"{name}.log"
    )
    own = Path("/proc/self/ns/net").readlink()
    wait_until(f"the {name} starts", lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own, 10, 0.01)
    return holder


def attach(node: str, init: Process, address: str, address_v6: str | None = None) -> None:
    """Connect a node's network namespace to the bridge, as its `eth0`."""
    fabric = fabric_holder()
    ip(fabric, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", str(init.pid))
    ip(fabric, "link", "set", node, "master", BRIDGE, "up")
    _configure(init, f"{address}/24", ROUTER_IP)
    if address_v6:
        _add_v6(init, address_v6, "eth0")
        ip(init, "-6", "route", "add", "default", "via", f"{NODE_SUBNET_PREFIX_V6}:1", "dev", "eth0")


def _add_v6(holder: Process, address: str, device: str) -> None:
    """Usable at once: addresses are not checked for duplicates."""
    ip(holder, "addr", "add", f"{address}/64", "dev", device, "nodad")


def connect(host: Process, name: str, address: str, router_address: str) -> None:
    """Connect a host outside the cluster to the fabric as its router. Addresses have a prefix length."""
    fabric = fabric_holder()
    ip(fabric, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
    ip(fabric, "addr", "add", router_address, "dev", name)
    ip(fabric, "link", "set", name, "up")
    _configure(host, address, router_address.partition("/")[0])


def fabric_holder() -> Process:
    """The process that holds the fabric's namespace. Raises LabError if it is not running."""
    fabric = Process.load(_RECORD)
    if fabric is None:
        raise LabError("the fabric between the nodes is not running")
    return fabric


def _configure(host: Process, address: str, router: str) -> None:
    ip(host, "link", "set", "lo", "up")
    ip(host, "addr", "add", address, "dev", "eth0")
    ip(host, "link", "set", "eth0", "up")
    ip(host, "route", "add", "default", "via", router)


@contextmanager
def tunnel_cut(sender: str) -> Iterator[None]:
    """The fabric drops the VXLAN packets of one node, and no others."""
    fabric = fabric_holder()
    in_network(fabric, "tc", "qdisc", "add", "dev", sender, "clsact")
    try:
        in_network(
            fabric, "tc", "filter", "add", "dev", sender, "ingress", "bpf", "da", "bytecode", _DROP_TUNNEL
        )
        yield
    finally:
        in_network(fabric, "tc", "qdisc", "del", "dev", sender, "clsact")


def ip(holder: Process, *argv: str) -> None:
    """Run `ip` in the network namespace of a process."""
    in_network(holder, "ip", *argv)


def in_network(holder: Process, *argv: str) -> None:
    """Run a program in the network namespace of a process."""
    run("nsenter", f"--net=/proc/{holder.pid}/ns/net", *argv)
