"""Netfilter rules of nodes and pods that drop, reject or rewrite packets. Used by the catalog."""

import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from datapath_probe.addresses import IpFamily, family_of, parse_address
from e2e.galaxy import Pod
from faults.inject import devices
from faults.inject.commands import applied
from lab.cluster import Lab


def rule(lab: Lab, node: str, chain: str, *words: str, table: str = "filter") -> AbstractContextManager[None]:
    """A rule at the start of its chain."""
    iptables = (_program("iptables", any(map(_is_ipv6, words))), "--wait", "--table", table)
    return applied(lab, node, (*iptables, "-I", chain, *words), (*iptables, "-D", chain, *words))


def _is_ipv6(word: str) -> bool:
    ip = parse_address(word)
    return ip is not None and family_of(ip) is IpFamily.IPV6


def _program(name: str, over_ipv6: bool) -> str:
    return name.replace("iptables", "ip6tables") if over_ipv6 else name


@contextmanager
def flushed(lab: Lab, node: str, chain: str, *, table: str) -> Iterator[None]:
    """A chain without its rules."""
    iptables = ("iptables", "--wait", "--table", table)
    rules = [shlex.split(line) for line in lab.run(node, *iptables, "-S", chain).stdout.splitlines()]
    with applied(lab, node, (*iptables, "-F", chain), (*iptables, "-F", chain)):
        yield
    for words in rules:
        if words[0] == "-A":
            lab.run(node, *iptables, *words)


def rule_in_pod(
    lab: Lab, pod: Pod, chain: str, *words: str, table: str = "filter", program: str = "iptables"
) -> AbstractContextManager[None]:
    """The same in a pod's network namespace; `program`: selects the iptables backend."""
    enter = ("ip", "netns", "exec", devices.netns(lab, pod))
    iptables = (*enter, _program(program, ":" in pod.ip), "--wait", "--table", table)
    return applied(lab, pod.node, (*iptables, "-I", chain, *words), (*iptables, "-D", chain, *words))
