"""Killed, stopped, disconnected: the operator resumes and leaves no process behind."""

import signal
import time

from e2e import operator_deploy, processes
from e2e.api import Object, pod_path
from e2e.galaxy import Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import RUN_S, Probe, Probes, brief
from e2e.specs import in_container, to_pod
from e2e.waiting import until

SHIPS = ("xwing", "tiefighter")
LAST_RUN = "datapath_probe_last_run_timestamp_seconds"
SUCCESS = "datapath_probe_success"
SLOW_MS = 3000
SLOW_TIMEOUT_S = 9
STEADY_S = 2
LOST_S = 30
"""Runs of this period may be missing from the counters when the operator is killed."""
RECOVERY_S = 30
"""Maximum time after the return of the API server until probes run and publish again."""
FORGOTTEN_S = 60
"""Maximum time after the return of the API server until a missed deletion is detected."""


def every(interval: str, spec: Object) -> Object:
    return {**spec, "schedule": {"interval": interval}}


def in_ships(galaxy: Galaxy) -> list[str]:
    """Running processes that were started by exec in the source pods."""
    pods = [galaxy.api.get(pod_path(galaxy.namespace, ship)) or {} for ship in SHIPS]
    return [
        line
        for pod in pods
        for line in processes.started_by_exec(
            galaxy.lab, pod["spec"]["nodeName"], processes.container(pod, "spaceship")
        )
    ]


def exec_processes(galaxy: Galaxy) -> list[str]:
    """Running processes that were started by exec in agents and source pods."""
    return [*processes.in_agents(galaxy.lab), *in_ships(galaxy)]


def restarts(operator: Operator) -> int:
    count: int = operator.wait_ready()["status"]["containerStatuses"][0]["restartCount"]
    return count


def counted(operator: Operator, probe: Probe) -> int:
    """Runs of a probe since the operator started."""
    labels = {"namespace": probe.namespace, "probe": probe.name}
    return int(operator.metrics().total("datapath_probe_runs_total", **labels))


def is_healthy(operator: Operator, probe: Probe, since: float) -> bool:
    """Whether a run since then was a success."""
    metrics, labels = operator.metrics(), {"namespace": probe.namespace, "probe": probe.name}
    return (metrics.value(LAST_RUN, **labels) or 0) > since and metrics.value(SUCCESS, **labels) == 1


def wait_for_runs(operator: Operator, probes: list[Probe], since: float, timeout_s: float) -> None:
    """Wait until each of these probes has completed a run since then."""

    def waiting() -> list[str]:
        metrics = operator.metrics()
        ended = {p: metrics.value(LAST_RUN, namespace=p.namespace, probe=p.name) for p in probes}
        return [probe.name for probe, at in ended.items() if at is None or at < since]

    until("every probe has run", lambda: not waiting(), timeout_s, otherwise=waiting)


def test_an_operator_killed_during_a_run_resumes(
    galaxy: Galaxy, probes: Probes, operator: Operator, demo: dict[str, Probe]
) -> None:
    star = galaxy.near("xwing")
    slow_request = {"path": f"/slow?ms={SLOW_MS}", "timeout": f"{SLOW_TIMEOUT_S}s"}
    slow = probes.create(
        "slow", every("4s", {**in_container(to_pod("xwing", star)), "request": slow_request, "expect": {}})
    )
    steady = probes.create("steady", every(f"{STEADY_S}s", to_pod("tiefighter", galaxy.far("tiefighter"))))
    steady.settle()
    slow.settle()
    before = steady.run_now()["counters"]
    counted_before = counted(operator, steady)
    restarts_before = restarts(operator)
    until(
        "some runs are not in the status yet", lambda: counted(operator, steady) >= counted_before + 5, LOST_S
    )

    def in_progress() -> bool:
        own = f"--max-time {SLOW_TIMEOUT_S} "  # the path is not in the command line
        return any(own in line for line in in_ships(galaxy))

    until("curl is running", in_progress, RUN_S, otherwise=lambda: in_ships(galaxy))
    started = set(exec_processes(galaxy))
    runs_at_kill = before["runs"] + counted(operator, steady) - counted_before
    killed_at = time.time()
    processes.send(galaxy.lab, operator.wait_ready(), "operator", signal.SIGKILL)
    lost = runs_at_kill - steady.status()["counters"]["runs"]
    assert lost * STEADY_S <= LOST_S + STEADY_S
    until(
        "it runs again", lambda: restarts(operator) > restarts_before, timeout_s=60, otherwise=operator.logs
    )

    wait_for_runs(operator, [slow, steady, *demo.values()], killed_at, timeout_s=40)
    until("its processes are gone", lambda: not started & set(exec_processes(galaxy)), timeout_s=20)
    after = steady.run_now()["counters"]
    assert after["runs"] > before["runs"] > 0
    assert after["runs"] - after["consecutiveSuccesses"] <= before["runs"]  # no later run failed


def test_shutdown_leaves_no_process_and_a_probe_deleted_meanwhile_is_forgotten(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    spec = every("2s", to_pod("xwing", galaxy.far("xwing")))
    kept, doomed = probes.create("kept", spec), probes.create("doomed", spec)
    kept.settle()
    doomed.settle()
    if operator_deploy.collector() == "exec":
        assert processes.in_agents(galaxy.lab)  # the exec channels
    operator.scale(0)
    until(
        "its processes are gone",
        lambda: not exec_processes(galaxy),
        timeout_s=20,
        otherwise=lambda: exec_processes(galaxy),
    )

    doomed.delete()
    started_at = time.time()
    operator.scale(1)
    wait_for_runs(operator, [kept], started_at, timeout_s=40)
    assert not operator.metrics().series_of(galaxy.namespace, doomed.name)


def test_it_recovers_from_a_restart_of_the_api_server(
    galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    probe = probes.create("unharmed", every(f"{STEADY_S}s", to_pod("xwing", galaxy.far("xwing"))))
    probe.settle()
    restarts_before = restarts(operator)

    galaxy.lab.restart("kube-apiserver", signum=signal.SIGKILL)
    back_at = time.time()

    until(
        "the probe is healthy",
        lambda: is_healthy(operator, probe, back_at),
        RECOVERY_S,
        otherwise=operator.logs,
    )
    probe.run_now()  # changes are observed, and the status is written
    assert time.time() - back_at <= RECOVERY_S
    assert restarts(operator) == restarts_before


def test_it_recovers_from_a_disconnection_and_detects_a_missed_deletion(
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
        "the other probe is healthy again",
        lambda: is_healthy(operator, kept, back_at),
        RECOVERY_S,
        otherwise=lambda: brief(kept.status()),
    )

    def forgotten() -> bool:
        return not operator.metrics().series_of(galaxy.namespace, doomed.name)

    until("the deleted probe is forgotten", forgotten, FORGOTTEN_S - (time.time() - back_at))
    assert restarts(operator) == restarts_before
