"""Counters of kernels are hints beside a segment: those that rose while the request hung, and those of pods."""

import json
from dataclasses import replace
from pathlib import Path

from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources import kernel_counters
from unit.diagnose.altered_runs import ends
from unit.diagnose.netstack.test_netfilter import inside
from unit.recorded import recorded

PRINTED: str = json.loads((Path(__file__).parents[3] / "data/xfrm/linux-6.18.json").read_text())[
    "blocks-leaving"
]["counters"]
LOST = "overlay-dropped-on-the-wire"


def counted(**changes: int) -> Answer:
    """The recorded counters, with other values of these, as in `Tcp_InCsumErrors`."""
    lines = PRINTED.splitlines()
    for name, value in changes.items():
        protocol, _, counter = name.rpartition("_")
        if not protocol:
            lines = [f"{name} {value}" if line.split()[0] == name else line for line in lines]
            continue
        names, values = (at for at, line in enumerate(lines) if line.startswith(f"{protocol}:"))
        place = lines[names].split().index(counter)
        shown = lines[values].split()
        shown[place] = str(value)
        lines[values] = " ".join(shown)
    return Answer(0, "\n".join(lines).encode(), b"", 0.0, 0.0)


def reading(run: PathRun, fact: Fact, *answers: Answer) -> PathRun:
    evidence = run.evidence
    for answer in answers:
        evidence = evidence.adding([fact], [answer])
    return replace(run, evidence=evidence)


def test_what_the_kernel_of_a_node_counted_while_the_request_hung_is_shown() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    run = reading(run, kernel_counters.fact(there), counted(), counted(Udp_InCsumErrors=7, Tcp_InSegs=900))
    message = diagnose(run).message
    assert f"the kernel of {there} counted 7 × Udp.InCsumErrors while the request hung" in message
    assert "InSegs" not in message


def test_what_was_counted_before_is_not_shown_for_nodes() -> None:
    run = recorded(LOST)
    again = counted(Udp_InCsumErrors=7)
    assert (
        "InCsumErrors" not in diagnose(reading(run, kernel_counters.fact(ends(run)[1]), again, again)).message
    )


def test_wrong_checksums_inside_a_pod_are_shown() -> None:
    run = recorded(LOST)
    fact = kernel_counters.fact(*inside(run))
    assert fact in facts_of(run)
    message = diagnose(reading(run, fact, counted(Tcp_InCsumErrors=3))).message
    assert "has counted 3 × Tcp.InCsumErrors so far" in message


def test_counters_of_nodes_are_read_while_the_request_hangs() -> None:
    run = recorded(LOST)
    hanging = replace(run, hanging=True, request=replace(run.request, reading=None))
    assert {kernel_counters.fact(node) for node in ends(run)} <= set(facts_of(hanging))
