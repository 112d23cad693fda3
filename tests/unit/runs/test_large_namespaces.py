"""What a run costs the event loop before its first request, if a probe stands for thousands of pods: no more than
linear time, and not much more than to look at each pod once.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from datapath_probe.addresses import IpAddress, address
from datapath_probe.api.probe import Probe
from datapath_probe.api.vocabulary import WorkloadKind
from datapath_probe.kube.objects.endpoint_slices import Endpoint, EndpointSlice
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.kube.watch.resources import NodeEntry, PodEntry
from datapath_probe.kube.watch.workloads import _Workload
from datapath_probe.plan.destination import PodEnd
from datapath_probe.plan.pairs.pairs import Pair, Pairs, pairs_of
from datapath_probe.plan.plan import Plan
from datapath_probe.plan.resolve import resolve
from datapath_probe.runs.limits import MAX_PAIRS
from datapath_probe.runs.pair_turns import PairTurns
from unit.cluster import DEATHSTAR, VXLAN, cluster, pod, probe
from unit.plan.planned import POD

SMALL, LARGE, NODES = 1250, 5000, 100
MOST, NOISE_S = 9.0, 0.004  # as in tests/unit/sources/test_linear.py

LABELED = {"selector": {"matchLabels": {"app": "web"}}}
DISTINCT = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}
WORKLOAD = {"workload": {"kind": "ReplicaSet", "name": "web"}}
WEB = {"workload": {"kind": "ReplicaSet", "name": "web", "port": 80}}
SERVICE = {"service": {"name": "deathstar", "port": 80}}
PROBES: Mapping[str, Probe] = {
    "one of a selector": probe(POD, source=LABELED),
    "one per node": probe(POD, source={**LABELED, "select": "OnePerNode"}),
    "all with an expression": probe(POD, source={"selector": DISTINCT, "select": "All"}),
    "mesh of a workload": probe(WEB, source={**WORKLOAD, "select": "All"}),
    "each backend": probe({**SERVICE, "backends": "Each"}),
    "a Service": probe(SERVICE),
}


def inventory(number: int) -> ClusterInventory:
    """The small cluster, with so many pods in the namespace, all of one workload and one Service."""
    made, small = ClusterInventory(None, "kube-system"), cluster()  # type: ignore[arg-type]
    made._config.cache.put(("kube-system", "cilium-config"), VXLAN)
    made._services.cache.put(("default", "deathstar"), DEATHSTAR)
    replica_sets = made._workloads._by_kind[WorkloadKind.REPLICA_SET]
    replica_sets.cache.put(("default", "web"), _Workload("uid-web", ""))
    for name, node in small.nodes.items():
        made._nodes.cache.put(("", name), NodeEntry(node, {}))
    for each in small.pods.values():
        made._pods.cache.put(("default", each.name), PodEntry(each, None, ""))
    for position in range(number):
        name, place, ip = f"web-{position}", f"node-{position % NODES}", _ip(position)
        each = pod(name, "", place, ips=(ip,), labels={"app": "web"}, created_at=float(position))
        made._pods.cache.put(("default", name), PodEntry(each, None, "uid-web"))
    for start in range(0, number, 100):
        listed = (
            (_ip(position), Endpoint(True, True, False, f"node-{position % NODES}", f"web-{position}", ()))
            for position in range(start, min(start + 100, number))
        )
        one = EndpointSlice(("default", "deathstar"), tuple(listed), {("", "TCP"): 80}, 0.0, f"s{start}")
        made._slices.cache.put(("default", one.name), one)
    return made


def _ip(position: int) -> IpAddress:
    return address(f"10.9.{position // 250}.{position % 250}")


FEW, MANY = inventory(SMALL), inventory(LARGE)


def selected(of: Probe, found: ClusterInventory) -> Pair:
    """What the runner does in one turn of the event loop: it takes the pairs of a run, of which this is the first."""
    pairs = pairs_of(of, found)
    assert isinstance(pairs, Pairs)
    return PairTurns(MAX_PAIRS).take("uid", pairs)[0]


def planned(of: Probe, found: ClusterInventory) -> None:
    """The next turn."""
    assert isinstance(resolve(FIRST[id(of)], of, found), Plan)


FIRST = {id(of): selected(of, MANY) for of in PROBES.values()}
Step = Callable[[Probe, ClusterInventory], object]


def least_s(work: Callable[[], object], times: int = 5) -> float:
    return min(_taken_s(work) for _ in range(times))


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> Iterator[None]:
    """As in the operator: what exists is not looked at by garbage collections."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _taken_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize("step", [selected, planned])
@pytest.mark.parametrize("name", PROBES)
def test_a_run_is_planned_in_linear_time(name: str, step: Step) -> None:
    few_s, many_s = (least_s(partial(step, PROBES[name], found)) for found in (FEW, MANY))
    assert many_s < MOST * max(few_s, NOISE_S)


def looked_at() -> None:
    """The least that selecting costs: each pod once, as something that can be requested."""
    assert len({PodEnd(pod.namespace, pod.name, 80) for pod in MANY.pods_in("default") if pod.ready}) > LARGE


@pytest.mark.parametrize(
    ("name", "step", "looks"),
    [
        ("one of a selector", selected, 8),
        ("one per node", selected, 8),
        ("all with an expression", selected, 10),
        ("mesh of a workload", selected, 10),
        ("each backend", selected, 14),
        ("each backend", planned, 20),
        ("a Service", planned, 20),
    ],
)
def test_no_turn_costs_more_than_a_few_looks_at_each_pod(name: str, step: Step, looks: float) -> None:
    look_s = least_s(looked_at)
    step_s = least_s(partial(step, PROBES[name], MANY))
    assert step_s < looks * look_s
