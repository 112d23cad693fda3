"""CPU time of the operator per verdict, including schedule, run, status, Events and metrics.

In: the lab and its pods. Out: milliseconds, as the operator's own metric counts them. Called by `__main__`.
"""

import time

from e2e.api import Api
from e2e.operator_deploy import deploy
from e2e.probes import Probes
from e2e.specs import SERVICE, landing
from lab.cluster import Lab
from lab.shell import say

PROBES, INTERVAL_S = 4, 2
WARM_UP_S, MEASURED_S = 15.0, 45.0
_VERDICTS, _CPU = "datapath_probe_runs_total", "process_cpu_seconds_total"


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
        before = operator.metrics()
        time.sleep(MEASURED_S)
        after = operator.metrics()
        cpu_s, verdicts = (after.total(name) - before.total(name) for name in (_CPU, _VERDICTS))
        healthy = after.total("datapath_probe_verdict", verdict="Healthy")
        if healthy < PROBES or not verdicts:
            raise RuntimeError(f"{healthy:g} of {PROBES} probes are Healthy: the measurement is meaningless")
        return cpu_s * 1000 / verdicts
    finally:
        probes.delete_all()
