"""Source ports: fresh for each run of a pod."""

import random

from datapath_probe.collect.source_ports import FIRST, LAST, SourcePorts


def test_a_pod_sees_every_port_before_one_comes_back() -> None:
    ports = SourcePorts(random.Random(1))
    taken = [ports.take("pod") for _ in range(LAST - FIRST + 1)]
    assert len(set(taken)) == len(taken)
    assert set(taken) == set(range(FIRST, LAST + 1))


def test_no_port_is_one_that_nodes_or_kernels_use_by_default() -> None:
    node_ports, ephemeral = range(30000, 32768), range(32768, 61000)
    assert not {FIRST, LAST} & {*node_ports, *ephemeral}
    assert 1024 <= FIRST < LAST < node_ports.start


def test_of_too_many_pods_those_are_forgotten_that_ran_longest_ago() -> None:
    ports = SourcePorts(random.Random(1), limit=2)
    for pod in ("gone", "here", "here", "there", "here"):
        ports.take(pod)
    assert set(ports._next) == {"here", "there"}
