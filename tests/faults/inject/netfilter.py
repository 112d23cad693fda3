"""Netfilter rules of nodes and pods that drop, reject or rewrite packets. Used by the catalog."""

from contextlib import AbstractContextManager

from e2e.galaxy import Pod
from faults.inject import devices
from faults.inject.commands import applied
from lab.cluster import Lab


def rule(lab: Lab, node: str, chain: str, *words: str, table: str = "filter") -> AbstractContextManager[None]:
    """A rule at the start of its chain."""
    iptables = ("iptables", "--wait", "--table", table)
    return applied(lab, node, (*iptables, "-I", chain, *words), (*iptables, "-D", chain, *words))


def rule_in_pod(
    lab: Lab, pod: Pod, chain: str, *words: str, table: str = "filter", program: str = "iptables"
) -> AbstractContextManager[None]:
    """The same in a pod's network namespace; `program`: selects the iptables backend."""
    enter = ("ip", "netns", "exec", devices.netns(lab, pod))
    iptables = (*enter, program, "--wait", "--table", table)
    return applied(lab, pod.node, (*iptables, "-I", chain, *words), (*iptables, "-D", chain, *words))
