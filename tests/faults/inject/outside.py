"""Faults beyond the nodes: at the host outside the cluster, and on the router to it. Used by the catalog."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import network, outside
from lab.settings import OUTSIDE_IP, OUTSIDE_ROUTER_IP
from lab.shell import run


@contextmanager
def firewall(*words: str) -> Iterator[None]:
    """A rule of the router between the nodes and the host, at the start of its chain FORWARD."""
    router = network.fabric_holder()
    network.in_network(router, "iptables", "--wait", "-I", "FORWARD", *words)
    try:
        yield
    finally:
        network.in_network(router, "iptables", "--wait", "-D", "FORWARD", *words)


@contextmanager
def without_name_server() -> Iterator[None]:
    """No query reaches the host's name server, and the answers that the cluster's DNS keeps have expired."""
    with firewall("-d", OUTSIDE_IP, "-p", "udp", "--dport", "53", "-j", "DROP"):
        time.sleep(outside.TTL_S + 1)
        yield


@contextmanager
def without_address() -> Iterator[None]:
    """The host has another address: nothing answers for its own."""
    address, device = f"{OUTSIDE_IP}/24", ("dev", "eth0")
    run(*outside.enter("ip", "addr", "del", address, *device))
    try:
        yield
    finally:
        run(*outside.enter("ip", "addr", "add", address, *device))
        run(*outside.enter("ip", "route", "replace", "default", "via", OUTSIDE_ROUTER_IP))
