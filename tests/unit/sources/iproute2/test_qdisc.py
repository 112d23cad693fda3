"""Qdiscs that drop or delay packets, and neighbors, in the output of iproute2."""

import json
from ipaddress import ip_address

import pytest

from datapath_probe.evidence.reading import Absent, Answer, Unavailable
from datapath_probe.sources.iproute2 import neighbors, qdisc
from datapath_probe.sources.iproute2.neighbors import Neighbor
from datapath_probe.sources.iproute2.qdisc import Queue


def printed(shown: object) -> Answer:
    return Answer(0, json.dumps(shown).encode(), b"", 0.0, 0.0)


def queue(
    kind: str, drops: int = 0, waiting: int = 0, options: dict[str, object] | None = None
) -> dict[str, object]:
    statistics = {"drops": drops, "overlimits": 0, "requeues": 0, "backlog": 600 * waiting, "qlen": waiting}
    return {"kind": kind, "handle": "0:", "dev": "lxc1", "root": True, "options": options or {}, **statistics}


@pytest.mark.parametrize("kind", ["noqueue", "fq_codel", "pfifo_fast", "mq"])
def test_a_default_qdisc_may_drop(kind: str) -> None:
    assert qdisc.parse_losing(printed([queue(kind, drops=5, waiting=1)])) == {}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (queue("tbf", drops=5), Queue("tbf, which has dropped 5 packets")),
        (
            queue("tbf", waiting=2, options={"rate": 100, "burst": 300, "lat": 600000000}),
            Queue("tbf, which has dropped 0 packets and has a backlog of 2", loses=False, delay_s=12.0),
        ),
        (
            queue("htb", waiting=2),
            Queue("htb, which has dropped 0 packets and has a backlog of 2", loses=False, delay_s=None),
        ),
        (queue("tbf"), None),
        (queue("blackhole"), Queue("a blackhole, which drops every packet")),
        (queue("netem"), Queue("netem, which disturbs packets, and has dropped 0")),
        (
            queue("netem", options={"limit": 1000, "delay": {"delay": 3, "jitter": 0.5, "correlation": 0}}),
            Queue("netem, which disturbs packets, delays them by 3.5 s, and has dropped 0", delay_s=3.5),
        ),
        (
            queue("netem", 2, options={"limit": 1000, "corrupt": {"corrupt": 0.25, "correlation": 0}}),
            Queue("netem, which disturbs packets, damages 25% of them, and has dropped 2", damaged=0.25),
        ),
    ],
)
def test_another_qdisc_is_reported_if_it_affects_packets(
    shown: dict[str, object], expected: Queue | None
) -> None:
    assert qdisc.parse_losing(printed([shown])) == ({"lxc1": expected} if expected else {})


def test_devices_that_can_have_filters() -> None:
    shown = [queue("noqueue"), queue("clsact") | {"dev": "lxc2"}, queue("ingress") | {"dev": "eth0"}]
    assert qdisc.parse_filtering(printed(shown)) == frozenset({"lxc2", "eth0"})


@pytest.mark.parametrize(
    ("shown", "neighbor"),
    [
        (
            [{"dst": "172.30.0.11", "lladdr": "66:EA:08:2D:F2:B5", "state": ["REACHABLE"]}],
            Neighbor("66:ea:08:2d:f2:b5", False),
        ),
        ([{"dst": "172.30.0.11", "state": ["FAILED"]}], Neighbor("", True)),
        ([], Absent()),
    ],
)
def test_a_neighbor(shown: object, neighbor: Neighbor | Absent) -> None:
    assert neighbors.parse_neighbor(printed(shown)) == neighbor


def test_the_neighbors_of_a_pod_by_address() -> None:
    shown = [
        {"dst": "10.244.1.63", "lladdr": "66:EA:08:2D:F2:B5", "state": ["STALE"]},
        {"dst": "10.244.1.64", "state": ["NOARP"]},
    ]
    assert neighbors.parse_neighbors(printed(shown)) == {
        ip_address("10.244.1.63"): Neighbor("66:ea:08:2d:f2:b5", False),
        ip_address("10.244.1.64"): Neighbor("", False),
    }
    assert neighbors.parse_neighbors(Answer(0, b"", b"", 0.0, 0.0)) == {}


def test_empty_output_is_no_loss_and_garbage_is_unavailable() -> None:
    assert qdisc.parse_losing(Answer(0, b"", b"", 0.0, 0.0)) == {}
    assert isinstance(qdisc.parse_losing(printed([{"dev": "lxc1"}])), Unavailable)
