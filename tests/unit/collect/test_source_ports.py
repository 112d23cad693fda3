"""Source ports: fresh for each run of a pod."""

import random

from datapath_probe.collect.source_ports import FIRST, LAST, SourcePorts


def test_a_pod_sees_every_port_before_one_comes_back() -> None:
    ports = SourcePorts(random.Random(1))
    taken = [ports.take("pod") for _ in range(LAST - FIRST + 1)]
    assert len(set(taken)) == len(taken)
    assert set(taken) == set(range(FIRST, LAST + 1))


def test_a_pod_that_is_gone_is_forgotten() -> None:
    ports = SourcePorts(random.Random(1))
    ports.take("gone")
    ports.take("here")
    ports.forget_all_but({"here"})
    assert set(ports._next) == {"here"}
