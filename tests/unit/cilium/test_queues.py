"""Queues that lose packets, and neighbours, as iproute2 prints them."""

import json

import pytest

from datapath_probe.cilium import queues
from datapath_probe.cilium.queues import Neighbour
from datapath_probe.evidence.reading import Absent, Answer, Unavailable


def printed(shown: object) -> Answer:
    return Answer(0, json.dumps(shown).encode(), b"", 0.0, 0.0)


def queue(kind: str, drops: int) -> dict[str, object]:
    return {"kind": kind, "handle": "0:", "dev": "lxc1", "root": True, "options": {}, "drops": drops}


@pytest.mark.parametrize("kind", ["noqueue", "fq_codel", "pfifo_fast", "mq"])
def test_an_ordinary_queue_may_drop(kind: str) -> None:
    assert queues.parse_losing(printed([queue(kind, 5)])) == {}


@pytest.mark.parametrize(
    ("kind", "drops", "told"),
    [
        ("tbf", 5, {"lxc1": "tbf, which has lost 5 packets"}),
        ("tbf", 0, {}),
        ("blackhole", 0, {"lxc1": "a black hole"}),
    ],
)
def test_a_queue_that_somebody_has_put_there_is_told_when_it_loses(
    kind: str, drops: int, told: dict[str, str]
) -> None:
    assert queues.parse_losing(printed([queue(kind, drops)])) == told


def test_netem_is_told_also_when_it_only_delays() -> None:
    told = {"lxc1": "netem, which disturbs packets, and has lost 0"}
    assert queues.parse_losing(printed([queue("netem", 0)])) == told


@pytest.mark.parametrize(
    ("shown", "neighbour"),
    [
        (
            [{"dst": "172.30.0.11", "lladdr": "66:EA:08:2D:F2:B5", "state": ["REACHABLE"]}],
            Neighbour("66:ea:08:2d:f2:b5", False),
        ),
        ([{"dst": "172.30.0.11", "state": ["FAILED"]}], Neighbour("", True)),
        ([], Absent()),
    ],
)
def test_a_neighbour_is_where_packets_are_sent_to(shown: object, neighbour: Neighbour | Absent) -> None:
    assert queues.parse_neighbour(printed(shown)) == neighbour


def test_the_neighbours_of_a_pod_are_told_by_their_addresses() -> None:
    shown = [
        {"dst": "10.244.1.63", "lladdr": "66:EA:08:2D:F2:B5", "state": ["STALE"]},
        {"dst": "10.244.1.64", "state": ["NOARP"]},
    ]
    assert queues.parse_neighbours(printed(shown)) == {
        "10.244.1.63": Neighbour("66:ea:08:2d:f2:b5", False),
        "10.244.1.64": Neighbour("", False),
    }
    assert queues.parse_neighbours(Answer(0, b"", b"", 0.0, 0.0)) == {}


def test_no_queue_at_all_is_no_loss_and_garbage_no_evidence() -> None:
    assert queues.parse_losing(Answer(0, b"", b"", 0.0, 0.0)) == {}
    assert isinstance(queues.parse_losing(printed([{"dev": "lxc1"}])), Unavailable)
