"""Packet filters of a node: rules that drop or reject what Cilium would have let pass."""

from contextlib import AbstractContextManager

from e2e.galaxy import Pod
from faults.inject import devices
from faults.inject.undo import done
from lab.cluster import Lab


def rule(lab: Lab, node: str, chain: str, *words: str, table: str = "filter") -> AbstractContextManager[None]:
    """A rule that comes first in its chain."""
    iptables = ("iptables", "--wait", "--table", table)
    return done(lab, node, (*iptables, "-I", chain, *words), (*iptables, "-D", chain, *words))


def rule_in_pod(
    lab: Lab, pod: Pod, chain: str, *words: str, table: str = "filter", program: str = "iptables"
) -> AbstractContextManager[None]:
    """The same inside a pod; `program`: which of iptables' backends holds it."""
    enter = ("ip", "netns", "exec", devices.netns(lab, pod))
    iptables = (*enter, program, "--wait", "--table", table)
    return done(lab, pod.node, (*iptables, "-I", chain, *words), (*iptables, "-D", chain, *words))
