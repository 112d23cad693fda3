"""The program that answers a question."""

import pytest

from datapath_probe.evidence.question import Question
from datapath_probe.sources import netns
from datapath_probe.sources.flows import monitor
from datapath_probe.sources.netfilter import iptables, nftables


@pytest.mark.parametrize(
    ("question", "program"),
    [
        (Question("node1", ("bpftool", "-j", "map", "show")), "bpftool"),
        (iptables.question("node1"), "iptables-save"),
        (iptables.question("node1", "cni-1"), "iptables-save"),
        (netns.inside("node1", "cni-1", "ip", "-j", "route"), "ip"),
        (monitor.question("node1", 4), "cilium-dbg"),
        (nftables.question("node1", "cni-1"), "perl"),
        (netns.find("node1"), "find"),
        (Question("node1", ("timeout", "4")), "timeout"),
    ],
)
def test_the_program_is_the_wrapped_one(question: Question, program: str) -> None:
    assert question.program == program
