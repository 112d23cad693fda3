"""Devices, routes and neighbors of nodes and pods: down, missing, wrong.

In: a lab, a node or pod, a device. Used by the catalog.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from e2e.galaxy import Pod
from faults.inject.agent import in_agent
from faults.inject.commands import applied
from faults.inject.in_place import InPlace
from lab.cluster import Lab

_PODS = (
    'cd /var/run/netns && for ns in *; do [ -n "$(ip -n "$ns" -o addr show to "$0")" ] && echo "$ns"; done'
)


def lxc(lab: Lab, pod: Pod) -> str:
    """The host end of the pod's veth pair."""
    [endpoint] = json.loads(in_agent(lab, pod.node, "cilium-dbg", "endpoint", "get", str(pod.endpoint)))
    name: str = endpoint["status"]["networking"]["interface-name"]
    return name


def link(lab: Lab, node: str, device: str, *, inside: str = "") -> dict[str, Any]:
    """A device as `ip` shows it; `inside`: a pod's network namespace."""
    argv = ("ip", *_in(inside), "-j", "link", "show", "dev", device)
    [shown] = json.loads(lab.run(node, *argv).stdout)
    found: dict[str, Any] = shown
    return found


def netns(lab: Lab, pod: Pod) -> str:
    """Name of the pod's network namespace on its node."""
    return lab.run(pod.node, "sh", "-c", _PODS, pod.ip, check=False).stdout.split()[0]


@contextmanager
def down(lab: Lab, node: str, device: str, *, inside: str = "") -> Iterator[InPlace]:
    """A device that is down. Its routes, and its addresses of IPv6, which it loses, are restored with it."""
    enter = ("ip", *_in(inside))
    routes = lab.run(node, *enter, "route", "show").stdout.splitlines()
    over_ipv6 = _of_ipv6(lab, node, enter, device)
    try:
        with applied(
            lab, node, (*enter, "link", "set", device, "down"), (*enter, "link", "set", device, "up")
        ):
            yield lambda: "UP" not in link(lab, node, device, inside=inside)["flags"]
    finally:
        for words in over_ipv6:
            lab.run(node, *enter, "-6", *words)
        for route in sorted(
            routes, key=lambda line: " via " in line
        ):  # routes with a gateway last: they depend on the others
            lab.run(node, *enter, "route", "replace", *route.split())


def _of_ipv6(lab: Lab, node: str, enter: tuple[str, ...], device: str) -> list[list[str]]:
    """Arguments of `ip -6` that restore the device's addresses and routes; those with a gateway last."""
    shown = lab.run(node, *enter, "-6", "-o", "address", "show", "dev", device, "scope", "global").stdout
    addresses = [line.split()[3] for line in shown.splitlines()]
    routes = lab.run(node, *enter, "-6", "route", "show", "dev", device).stdout.splitlines()
    own = sorted((line for line in routes if "proto kernel" not in line), key=lambda line: " via " in line)
    return [
        *(["address", "replace", address, "dev", device, "nodad"] for address in addresses),
        *(["route", "replace", *line.split(), "dev", device] for line in own),
    ]


@contextmanager
def replaced_by_another_veth(lab: Lab, node: str, device: str) -> Iterator[None]:
    """Another veth pair with the name of this one, which is renamed."""
    kept = "faults-kept"
    lab.run(node, "ip", "link", "set", device, "name", kept)
    try:
        lab.run(node, "ip", "link", "add", device, "up", "type", "veth", "peer", "name", "faults-peer")
        yield
    finally:
        lab.run(node, "ip", "link", "del", device, check=False)
        lab.run(node, "ip", "link", "set", kept, "name", device)


def deleted(lab: Lab, node: str, device: str) -> None:
    """Delete a veth pair. Only a new pod restores it."""
    lab.run(node, "ip", "link", "del", device)


def moved_to_namespace(lab: Lab, pod: Pod, namespace: str) -> None:
    """Move a pod's interface to another network namespace. Only a new pod restores it."""
    lab.run(pod.node, "ip", *_in(netns(lab, pod)), "link", "set", "eth0", "netns", namespace)


@contextmanager
def without_address(lab: Lab, pod: Pod) -> Iterator[None]:
    """A pod whose interface has no address, and therefore no routes."""
    enter = ("ip", *_in(netns(lab, pod)))
    routes = lab.run(pod.node, *enter, "route", "show").stdout.splitlines()
    lab.run(pod.node, *enter, "address", "flush", "dev", "eth0")
    try:
        yield
    finally:
        lab.run(pod.node, *enter, "address", "add", f"{pod.ip}/32", "dev", "eth0")
        for route in sorted(
            routes, key=lambda line: " via " in line
        ):  # routes with a gateway last: they depend on the others
            lab.run(pod.node, *enter, "route", "replace", *route.split())


def sysctl(lab: Lab, node: str, name: str, value: str) -> AbstractContextManager[None]:
    """Another value of a network sysctl, such as `ipv4/ip_forward`."""
    path = f"/proc/sys/net/{name}"
    before = lab.run(node, "cat", path).stdout.strip()
    write = ("sh", "-c", 'echo "$1" > "$0"', path)
    return applied(lab, node, (*write, value), (*write, before))


def mtu(lab: Lab, node: str, device: str, value: int, *, inside: str = "") -> AbstractContextManager[None]:
    """A device with another MTU; `inside`: a pod's network namespace."""
    change = ("ip", *_in(inside), "link", "set", device, "mtu")
    return applied(
        lab, node, (*change, str(value)), (*change, str(link(lab, node, device, inside=inside)["mtu"]))
    )


def route(lab: Lab, node: str, *words: str) -> AbstractContextManager[None]:
    """An additional route, such as one to the wrong node or a blackhole."""
    return applied(lab, node, ("ip", "route", "add", *words), ("ip", "route", "del", *words))


@contextmanager
def without_route(lab: Lab, node: str, prefix: str, *, inside: str = "") -> Iterator[InPlace]:
    """A missing route."""
    enter = ("ip", *_in(inside))

    def find() -> list[str]:
        return lab.run(node, *enter, "route", "show", prefix).stdout.split()

    shown = find()
    assert shown, f"{node} has no route to {prefix}"
    lab.run(node, *enter, "route", "del", *shown)
    try:
        yield lambda: not find()
    finally:
        lab.run(node, *enter, "route", "replace", *shown)


def rerouted(lab: Lab, node: str, prefix: str, *words: str) -> AbstractContextManager[None]:
    """A route with another target."""
    shown = lab.run(node, "ip", "route", "show", prefix).stdout.split()
    assert shown, f"{node} has no route to {prefix}"
    change = ("ip", "route", "replace")
    return applied(lab, node, (*change, prefix, *words), (*change, *shown))


def wrong_neighbor(
    lab: Lab, node: str, ip: str, device: str, *, inside: str = ""
) -> AbstractContextManager[None]:
    """A neighbor entry with an unused MAC address."""
    enter = ("ip", *_in(inside), "neigh")
    return applied(
        lab,
        node,
        (*enter, "replace", ip, "lladdr", "02:00:00:00:00:99", "dev", device, "nud", "permanent"),
        (*enter, "del", ip, "dev", device),
    )


def blackhole_in_pod(lab: Lab, pod: Pod, address: str) -> AbstractContextManager[None]:
    """A pod with a blackhole route to an address."""
    change = ("ip", *_in(netns(lab, pod)), "route")
    return applied(
        lab, pod.node, (*change, "add", "blackhole", address), (*change, "del", "blackhole", address)
    )


@contextmanager
def other_source_address(lab: Lab, pod: Pod) -> Iterator[None]:
    """A pod with a second address, which it prefers as source."""
    enter, other = ("ip", *_in(netns(lab, pod))), "10.99.99.99"
    route = lab.run(pod.node, *enter, "route", "show", "default").stdout.split()
    lab.run(pod.node, *enter, "address", "add", f"{other}/32", "dev", "eth0")
    try:
        lab.run(pod.node, *enter, "route", "replace", *route, "src", other)
        yield
    finally:
        lab.run(pod.node, *enter, "route", "replace", *route)
        lab.run(pod.node, *enter, "address", "del", f"{other}/32", "dev", "eth0")


def wrong_pod_mac(lab: Lab, pod: Pod) -> AbstractContextManager[None]:
    """A pod's interface with a MAC address that Cilium does not know."""
    return wrong_mac(lab, pod.node, "eth0", inside=netns(lab, pod))


def wrong_mac(lab: Lab, node: str, device: str, *, inside: str = "") -> AbstractContextManager[None]:
    """A device with another MAC address."""
    before: str = link(lab, node, device, inside=inside)["address"]
    change = ("ip", *_in(inside), "link", "set", device, "address")
    return applied(lab, node, (*change, "02:00:00:00:00:77"), (*change, before))


def gateway(lab: Lab, pod: Pod) -> str:
    """The gateway of a pod's default route."""
    shown = lab.run(pod.node, "ip", *_in(netns(lab, pod)), "route", "show", "default").stdout.split()
    return shown[shown.index("via") + 1]


def arp_off(lab: Lab, pod: Pod) -> AbstractContextManager[None]:
    """A pod that sends no ARP requests."""
    change = ("ip", *_in(netns(lab, pod)), "link", "set", "eth0", "arp")
    return applied(lab, pod.node, (*change, "off"), (*change, "on"))


@contextmanager
def without_local_address(lab: Lab, pod: Pod) -> Iterator[None]:
    """A pod without the local route to its own address."""
    enter = ("ip", *_in(netns(lab, pod)), "route")
    shown = lab.run(pod.node, *enter, "show", "table", "local", "type", "local").stdout.splitlines()
    own = next(line.split() for line in shown if line.split()[1] == pod.ip)
    lab.run(pod.node, *enter, "del", *own, "table", "local")
    try:
        yield
    finally:
        lab.run(pod.node, *enter, "add", *own, "table", "local")


def without_local_rule(lab: Lab, pod: Pod) -> AbstractContextManager[None]:
    """A pod whose kernel does not look up its own addresses."""
    change = ("ip", *_in(netns(lab, pod)), "rule")
    own = ("pref", "0", "lookup", "local")
    return applied(lab, pod.node, (*change, "del", *own), (*change, "add", *own))


def rule(lab: Lab, node: str, *words: str) -> AbstractContextManager[None]:
    """A routing rule before all routing tables except the local one."""
    change = ("ip", "rule")
    return applied(lab, node, (*change, "add", "pref", "5", *words), (*change, "del", "pref", "5", *words))


def blackhole_qdisc(lab: Lab, node: str, device: str) -> AbstractContextManager[None]:
    """A device with a blackhole qdisc: it drops every packet it sends."""
    qdisc = ("tc", "qdisc")
    return applied(
        lab,
        node,
        (*qdisc, "replace", "dev", device, "root", "blackhole"),
        (*qdisc, "del", "dev", device, "root"),
    )


def slow_qdisc(lab: Lab, node: str, device: str) -> AbstractContextManager[None]:
    """A device with a token bucket that sends the packets of a handshake and delays the request."""
    qdisc = ("tc", "qdisc")
    shaper = ("tbf", "rate", "80bit", "burst", "240", "latency", "600s")
    return applied(
        lab,
        node,
        (*qdisc, "replace", "dev", device, "root", *shaper),
        (*qdisc, "del", "dev", device, "root"),
    )


def _in(namespace: str) -> tuple[str, ...]:
    return ("-n", namespace) if namespace else ()
