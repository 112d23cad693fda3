"""Input of a pod, a node or the API server that costs more than linear time or memory, or holds the event loop."""

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from datapath_probe.collect.fair_slots import FairSlots
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.kube.objects.endpoint_slices import endpoint_slice
from datapath_probe.kube.objects.fields import Skips
from datapath_probe.runs.bounded_diagnosis import BoundedDiagnosis
from datapath_probe.runs.diagnosis_worker import DiagnosisWorker
from datapath_probe.sources.netfilter import iptables
from hold.attack import Attack, Bar
from unit.diagnose.netstack.test_netfilter import answered, deep, inside
from unit.recorded import recorded
from unit.runs.test_bounded_diagnosis import longest_hold_s, with_services
from unit.sources import test_linear as linear
from unit.sources.golden import printed
from unit.sources.worst_case import Make, kube_proxy

MIB = 1 << 20
SERVICES, NODE_SERVICES = 5_000, 2_500
NOISE_S = 0.05  # what takes less is mostly noise
ENDPOINTS, ADDRESSES, PORTS = 1_000, 100, 20_000  # as many as Kubernetes allows in a slice


def _cpu_ms(call: Callable[[], object]) -> float:
    """CPU time of the fastest of three calls."""
    taken_s = []
    for _ in range(3):
        began = time.process_time()
        call()
        taken_s.append(time.process_time() - began)
    return 1000 * min(taken_s)


def _with_rules(rules: str) -> PathRun:
    """A recorded run whose destination pod has loaded these rules."""
    run = recorded("filter-drops-inside-the-destination")
    return answered(run, iptables.fact(*inside(run)), rules)


def chains() -> float:
    run = _with_rules(deep(16, jumps=10))
    return _cpu_ms(lambda: diagnose(run))


def services_parsed() -> float:
    answer = printed(kube_proxy(SERVICES))
    return _cpu_ms(lambda: iptables.parse(answer))


def services_hold() -> float:
    return _hold_ms(_with_rules(kube_proxy(SERVICES).decode()), time.thread_time)


def node_services_hold() -> float:
    return _hold_ms(with_services(NODE_SERVICES), time.process_time)


def _hold_ms(run: PathRun, clock: Callable[[], float]) -> float:
    """How long a diagnosis holds the event loop, in milliseconds of this clock."""
    return 1000 * min(asyncio.run(_longest_hold_s(run, clock)) for _ in range(2))


async def _longest_hold_s(run: PathRun, clock: Callable[[], float]) -> float:
    worker = DiagnosisWorker(limit_s=30.0)
    bounded = BoundedDiagnosis(worker, FairSlots(1).slot("default"))
    task = asyncio.create_task(bounded.diagnose(run))
    try:
        return await longest_hold_s(task, clock)
    finally:
        await task
        await worker.close()


def worst_parser() -> float:
    """Of all parsers and their worst inputs: how much longer 4 MiB take than 1 MiB."""
    worst = 0.0
    for name in linear.PARSERS:
        parse = linear.of_output_alone(name)
        for _, make in linear.worst_of(parse, linear.inputs_of(name)):
            worst = max(worst, _growth(parse, make))
    return worst


def _growth(parse: Callable[[bytes], object], make: Make) -> float:
    small, large = make(MIB), make(4 * MIB)
    few_s, many_s = linear.taken_s(parse, small), linear.taken_s(parse, large)
    if many_s > 5 * max(few_s, NOISE_S):  # once more: the machine may be busy
        few_s, many_s = linear.taken_s(parse, small), min(many_s, linear.taken_s(parse, large))
    return many_s / max(few_s, NOISE_S)


def large_slice() -> float:
    """The memory that the slice takes, in MB."""
    raw: dict[str, Any] = {
        "endpoints": [{"addresses": [f"10.1.{n // 256}.{n % 256}"] * ADDRESSES} for n in range(ENDPOINTS)],
        "ports": [{"name": f"p{number}", "port": number} for number in range(PORTS)],
    }
    tracemalloc.start()
    try:
        kept = endpoint_slice(raw, Skips())
        if len(kept.endpoints) != ENDPOINTS:
            raise RuntimeError("the slice is not read")
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


ATTACKS = (
    Attack(
        "filter chains of a pod, 16 deep with 10 jumps each: time of a diagnosis",
        "no end; 4,800 ms if 9 deep with 4 jumps",
        Bar("ms", at_most=100),
        chains,
    ),
    Attack(
        "iptables-save with 5,000 Services of kube-proxy: time to read it",
        "860 ms",
        Bar("ms", at_most=430),
        services_parsed,
    ),
    Attack(
        "the same, read in a run that failed: the event loop is held for",
        "860 ms for each reading",
        Bar("ms", at_most=100),
        services_hold,
    ),
    Attack(
        "2,500 Services of kube-proxy on both nodes of a run that failed: the event loop is held for",
        "430 ms for each reading",
        Bar("ms", at_most=100),
        node_services_hold,
    ),
    Attack(
        "worst input of all parsers: time for 4 MiB, compared with 1 MiB",
        "16 times, quadratic: a day for 4 MiB",
        Bar("times", at_most=8),
        worst_parser,
    ),
    Attack(
        "an EndpointSlice with 1,000 endpoints of 100 addresses, and 20,000 ports: memory",
        "out of memory",
        Bar("MB", at_most=16),
        large_slice,
    ),
)
