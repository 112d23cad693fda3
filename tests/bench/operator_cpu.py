"""CPU time of the operator per verdict, including schedule, run, status, Events and metrics.

In: the lab and its pods. Out: milliseconds, as the kernel of the operator's node counts them. Called by
`__main__`.
"""

import os
import time

from e2e import processes
from e2e.api import Api
from e2e.operator_deploy import Operator, deploy
from e2e.probes import Probes
from e2e.specs import SERVICE, landing
from lab.cluster import Lab
from lab.shell import say

PROBES, INTERVAL_S = 4, 2
WARM_UP_S, MEASURED_S = 15.0, 45.0
_VERDICTS = "datapath_probe_runs_total"
_USER_TICKS, _SYSTEM_TICKS = 13, 14  # fields of /proc/PID/stat, from 0


def cpu_ms_per_verdict(lab: Lab, api: Api, namespace: str, ship: str) -> float:
    """CPU time of the operator during a period of healthy runs, divided by their number."""
    say("· CPU of the operator …")
    operator = deploy(lab, api)
    probes = Probes(api, namespace)
    schedule = {"interval": f"{INTERVAL_S}s"}
    try:
        for number in range(PROBES):
            probes.create(f"bench-{number}", {**landing(ship, SERVICE), "schedule": schedule})
        time.sleep(WARM_UP_S)
        cpu_s, verdicts = _cpu_s(operator), operator.metrics().total(_VERDICTS)
        time.sleep(MEASURED_S)
        cpu_s, verdicts = _cpu_s(operator) - cpu_s, operator.metrics().total(_VERDICTS) - verdicts
        healthy = operator.metrics().total("datapath_probe_verdict", verdict="Healthy")
        if healthy < PROBES or not verdicts:
            raise RuntimeError(f"{healthy:g} of {PROBES} probes are Healthy: the measurement is meaningless")
        return cpu_s * 1000 / verdicts
    finally:
        probes.delete_all()


def _cpu_s(operator: Operator) -> float:
    """User and system time of the operator's process since it started, in seconds."""
    pod = operator.wait_ready()
    node = pod["spec"]["nodeName"]
    pid = processes.first_pid(operator.lab, node, processes.container(pod, "operator"))
    stat = operator.lab.run(node, "cat", f"/proc/{pid}/stat").stdout.rpartition(")")[2].split()
    ticks = int(stat[_USER_TICKS - 2]) + int(stat[_SYSTEM_TICKS - 2])
    return ticks / os.sysconf("SC_CLK_TCK")
