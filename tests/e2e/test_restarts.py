"""Killed, stopped, cut off: the operator goes on where it was, and leaves nothing behind."""

import signal
import time

from e2e import processes
from e2e.api import Object, pod_path
from e2e.galaxy import Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import RUN_S, Probe, Probes, brief
from e2e.specs import to_pod
from e2e.waiting import until

SHIPS = ("xwing", "tiefighter")
LAST_RUN = "datapath_probe_last_run_timestamp_seconds"
SUCCESS = "datapath_probe_success"
SLOW_MS = 3000
SLOW_TIMEOUT_S = 9
STEADY_S = 2
LOST_S = 30
"""So much of the counters may be lost when the operator dies."""
RECOVERY_S = 30
"""So soon after the API server is back, probes run and are told of as before."""
FORGOTTEN_S = 60
"""So soon after the API server is back, what was deleted unseen is forgotten."""


def every(interval: str, spec: Object) -> Object:
    return {**spec, "schedule": {"interval": interval}}


def in_ships(galaxy: Galaxy) -> list[str]:
    """What was exec'd into the source pods and still runs."""
    pods = [galaxy.api.get(pod_path(galaxy.namespace, ship)) or {} for ship in SHIPS]
    return [
        line
        for pod in pods
        for line in processes.started_by_exec(
            galaxy.lab, pod["spec"]["nodeName"], processes.container(pod, "spaceship")
        )
    ]


def left(galaxy: Galaxy) -> list[str]:
    """What was exec'd into agents and source pods and still runs."""
    return [*processes.in_agents(galaxy.lab), *in_ships(galaxy)]


def restarts(operator: Operator) -> int:
    count: int = operator.wait_ready()["status"]["containerStatuses"][0]["restartCount"]
    return count


def counted(operator: Operator, probe: Probe) -> int:
    """Runs of a probe since the operator started."""
    labels = {"namespace": probe.namespace, "probe": probe.name}
    return int(operator.metrics().total("datapath_probe_runs_total", **labels))


def is_well(operator: Operator, probe: Probe, since: float) -> bool:
    """A run since then was a success."""
    metrics, labels = operator.metrics(), {"namespace": probe.namespace, "probe": probe.name}
    return (metrics.value(LAST_RUN, **labels) or 0) > since and metrics.value(SUCCESS, **labels) == 1


def wait_for_runs(operator: Operator, probes: list[Probe], since: float, timeout_s: float) -> None:
    """Every one of these probes has ended a run since then."""

    def waiting() -> list[str]:
        metrics = operator.metrics()
        ended = {p: metrics.value(LAST_RUN, namespace=p.namespace, probe=p.name) for p in probes}
        return [probe.name for probe, at in ended.items() if at is None or at < since]

    until("every probe has run", lambda: not waiting(), timeout_s, otherwise=waiting)


def test_killed_in_mid_run_it_goes_on_where_it_was(
    galaxy: Galaxy, probes: Probes, operator: Operator, demo: dict[str, Probe]
) -> None:
    star = galaxy.near("xwing")
    slow_request = {"path": f"/slow?ms={SLOW_MS}", "timeout": f"{SLOW_TIMEOUT_S}s"}
    slow = probes.create(
        "slow", every("4s", {**to_pod("xwing", star), "request": slow_request, "expect": {}})
    )
    steady = probes.create("steady", every(f"{STEADY_S}s", to_pod("tiefighter", galaxy.far("tiefighter"))))
    steady.settle()
    slow.settle()
    before = steady.run_now()["counters"]
    counted_before = counted(operator, steady)
    restarts_before = restarts(operator)
    until("some runs are in no status yet", lambda: counted(operator, steady) >= counted_before + 5, LOST_S)

    def under_way() -> bool:
        own = f"--max-time {SLOW_TIMEOUT_S} "  # the path has a query, and is not shown
        return any(own in line for line in in_ships(galaxy))

    until("curl is under way", under_way, RUN_S, otherwise=lambda: in_ships(galaxy))
    started = set(left(galaxy))
    runs_at_kill = before["runs"] + counted(operator, steady) - counted_before
    killed_at = time.time()
    processes.send(galaxy.lab, operator.wait_ready(), "operator", signal.SIGKILL)
    lost = runs_at_kill - steady.status()["counters"]["runs"]
    assert lost * STEADY_S <= LOST_S + STEADY_S
    until(
        "it runs again", lambda: restarts(operator) > restarts_before, timeout_s=60, otherwise=operator.logs
    )

    wait_for_runs(operator, [slow, steady, *demo.values()], killed_at, timeout_s=40)
    until("nothing of it is left", lambda: not started & set(left(galaxy)), timeout_s=20)
    after = steady.run_now()["counters"]
    assert after["runs"] > before["runs"] > 0
    assert after["runs"] - after["consecutiveSuccesses"] <= before["runs"]  # no run since was a failure


def test_nothing_is_left_when_it_ends_and_what_was_deleted_meanwhile_is_forgotten(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    spec = every("2s", to_pod("xwing", galaxy.far("xwing")))
    kept, doomed = probes.create("kept", spec), probes.create("doomed", spec)
    kept.settle()
    doomed.settle()
    assert processes.in_agents(galaxy.lab)  # the command channels
    operator.scale(0)
    until("its processes are gone", lambda: not left(galaxy), timeout_s=20, otherwise=lambda: left(galaxy))

    doomed.delete()
    started_at = time.time()
    operator.scale(1)
    wait_for_runs(operator, [kept], started_at, timeout_s=40)
    assert not operator.metrics().series_of(galaxy.namespace, doomed.name)


def test_it_recovers_by_itself_when_the_api_server_is_restarted(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    probe = probes.create("unharmed", every(f"{STEADY_S}s", to_pod("xwing", galaxy.far("xwing"))))
    probe.settle()
    restarts_before = restarts(operator)

    galaxy.lab.restart("kube-apiserver", signum=signal.SIGKILL)
    back_at = time.time()

    until("it is well", lambda: is_well(operator, probe, back_at), RECOVERY_S, otherwise=operator.logs)
    probe.run_now()  # it hears of changes, and its status is written
    assert time.time() - back_at <= RECOVERY_S
    assert restarts(operator) == restarts_before


def test_cut_off_from_the_api_server_it_recovers_and_forgets_what_was_deleted_unseen(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    spec = every("2s", to_pod("xwing", galaxy.far("xwing")))
    kept, doomed = probes.create("kept", spec), probes.create("doomed", spec)
    kept.settle()
    doomed.settle()
    pod, restarts_before = operator.wait_ready(), restarts(operator)

    galaxy.lab.stop("kube-apiserver")
    processes.send(galaxy.lab, pod, "operator", signal.SIGSTOP)  # so that it does not see the deletion
    try:
        galaxy.lab.restart("kube-apiserver")
        until("the API server answers", lambda: galaxy.api.get(doomed.path), timeout_s=30)
        doomed.delete()
        until("the probe is gone", lambda: galaxy.api.get(doomed.path) is None, timeout_s=10)
    finally:
        processes.send(galaxy.lab, pod, "operator", signal.SIGCONT)
    back_at = time.time()
    until(
        "the other probe is well again",
        lambda: is_well(operator, kept, back_at),
        RECOVERY_S,
        otherwise=lambda: brief(kept.status()),
    )

    def forgotten() -> bool:
        return not operator.metrics().series_of(galaxy.namespace, doomed.name)

    until("the deleted probe is forgotten", forgotten, FORGOTTEN_S - (time.time() - back_at))
    assert restarts(operator) == restarts_before
