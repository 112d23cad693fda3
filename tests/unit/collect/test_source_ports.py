"""Source ports: a new one for each run of a pod."""

import random

from datapath_probe.collect.source_ports import FIRST, LAST, SourcePorts


def test_all_ports_are_used_before_one_repeats() -> None:
    ports = SourcePorts(random.Random(1))
    taken = [ports.take("pod") for _ in range(LAST - FIRST + 1)]
    assert len(set(taken)) == len(taken)
    assert set(taken) == set(range(FIRST, LAST + 1))


def test_ports_avoid_the_default_ranges_of_node_ports_and_kernels() -> None:
    node_ports, ephemeral = range(30000, 32768), range(32768, 61000)
    assert not {FIRST, LAST} & {*node_ports, *ephemeral}
    assert 1024 <= FIRST < LAST < node_ports.start


def test_over_the_limit_the_least_recent_pods_are_forgotten() -> None:
    ports = SourcePorts(random.Random(1), limit=2)
    for pod in ("gone", "here", "here", "there", "here"):
        ports.take(pod)
    assert set(ports._next) == {"here", "there"}
