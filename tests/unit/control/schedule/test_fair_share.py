"""Probes of one namespace run on time, whatever the probes of another do. Simulated time."""

import asyncio

import pytest

from datapath_probe.runs import limits
from datapath_probe.runs.limits import Limits
from datapath_probe.runs.probe_run import PATHS_AT_ONCE
from unit.control.schedule.world import Kind, running
from unit.sources.worst_case import kube_proxy

pytestmark = pytest.mark.looptime(noop_cycles=2)

LASTS_S = 120
VICTIM = Kind("victim")
BLACK_HOLE = Kind("attacker", interval_s=1, times_out=True, timeout_s=60)


@pytest.mark.parametrize("number", [0, 16, 200, 1000])
async def test_a_probe_runs_on_time_beside_probes_of_another_namespace_that_time_out(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async with running(monkeypatch) as world:
        world.add(1, VICTIM)
        world.add(number, BLACK_HOLE)
        await asyncio.sleep(LASTS_S)
    assert len(world.lags[VICTIM]) >= 0.95 * LASTS_S / VICTIM.interval_s
    assert max(world.lags[VICTIM]) < 0.1
    assert world.skipped[VICTIM] == 0


async def test_a_thousand_probes_of_which_half_time_out_run_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = Kind("shop", interval_s=60), Kind("shop", interval_s=60, times_out=True)
    async with running(monkeypatch) as world:
        for kind in kinds:
            world.add(500, kind)
        await asyncio.sleep(LASTS_S)
    for kind in kinds:
        assert len(world.lags[kind]) >= 500 * (LASTS_S // 60) - 10
        assert max(world.lags[kind]) < 2
        assert world.skipped[kind] == 0


@pytest.mark.parametrize("services", [300, 1000])
async def test_an_outage_beside_kube_proxy_costs_no_run_its_packet_filters(
    monkeypatch: pytest.MonkeyPatch, services: int
) -> None:
    kinds = Kind("shop", interval_s=60), Kind("shop", interval_s=60, times_out=True)
    async with running(monkeypatch) as world:
        world.rules = kube_proxy(services)
        for kind in kinds:
            world.add(500, kind)
        await asyncio.sleep(LASTS_S)
    assert world.lost == 0
    for kind in kinds:
        assert len(world.lags[kind]) >= 500 * (LASTS_S // 60) - 10
        assert max(world.lags[kind]) < 2
        assert world.skipped[kind] == 0


@pytest.mark.parametrize("namespace", ["victim", "elsewhere"])
async def test_probes_of_many_pairs_that_time_out_do_not_delay_others(
    monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    mesh = Kind(namespace, interval_s=60, times_out=True, timeout_s=60, pairs=64)
    others = Kind("victim", interval_s=10)
    async with running(monkeypatch) as world:
        world.add(20, mesh)
        world.add(20, others)
        await asyncio.sleep(LASTS_S)
    assert len(world.lags[others]) >= 0.95 * 20 * LASTS_S / 10
    assert max(world.lags[others]) < 0.5
    assert world.skipped[others] == 0
    assert world.most_in_flight <= 20 * PATHS_AT_ONCE + 20


async def test_the_requests_of_a_namespace_are_limited_whichever_probes_send_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch, Limits(max_requests_in_flight=40)) as world:
        world.add(20, Kind("mesh", interval_s=60, times_out=True, timeout_s=60, pairs=64))
        await asyncio.sleep(100)
    assert world.most_in_flight == 30


async def test_healthy_probes_of_many_pairs_run_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh, others = Kind("mesh", interval_s=60, pairs=64), Kind("shop", interval_s=60)
    async with running(monkeypatch) as world:
        world.add(10, mesh)
        world.add(500, others)
        await asyncio.sleep(LASTS_S)
    assert len(world.lags[mesh]) >= 10 * 64 * (LASTS_S // 60) - 64
    assert max(world.lags[others]) < 1
    assert world.skipped[mesh] == world.skipped[others] == 0


@pytest.mark.parametrize("namespace", ["shop", "elsewhere"])
async def test_a_node_whose_agent_is_slow_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    others = Kind("shop", interval_s=30)
    async with running(monkeypatch) as world:
        world.slow = {"node3"}
        world.add(150, Kind(namespace, interval_s=30, nodes=("node1", "node3")))
        world.add(150, others)
        await asyncio.sleep(LASTS_S)
    assert len(world.lags[others]) >= 150 * (LASTS_S // 30) - 10
    assert max(world.lags[others]) < 2
    assert world.skipped[others] == 0


async def test_requests_in_flight_are_limited_in_all_and_by_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch, Limits(max_requests_in_flight=40)) as world:
        world.add(200, BLACK_HOLE)
        await asyncio.sleep(100)
        assert world.most_in_flight == 30
        for number in range(10):
            world.add(20, Kind(f"attacker-{number}", interval_s=1, times_out=True, timeout_s=60))
        await asyncio.sleep(100)
    assert world.most_in_flight <= 40


async def test_requests_in_flight_are_limited_by_source_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as world:
        world.add(200, Kind("one-pod", interval_s=1, times_out=True, timeout_s=60, pods=1))
        world.add(1, VICTIM)
        await asyncio.sleep(100)
    assert world.most_of_a_pod == limits.REQUESTS_OF_A_POD
    assert max(world.lags[VICTIM]) < 0.1


async def test_with_a_single_slot_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, Limits(1, 1)) as world:
        for namespace in ("a", "b", "c"):
            world.add(5, Kind(namespace))
        await asyncio.sleep(LASTS_S)
    assert min(len(lags) for lags in world.lags.values()) >= 5 * LASTS_S / 10 - 5
