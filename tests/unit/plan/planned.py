"""Plans of a probe in the small cluster, for the tests of `plan`."""

from collections.abc import Mapping

from datapath_probe.plan.plan import Plan
from unit.cluster import Cluster, cluster, probe, resolve

POD = {"pod": {"name": "deathstar-0", "port": 80}}
SERVICE = {"service": {"name": "deathstar", "port": 80}}
NODE_PORT = {"service": {"name": "deathstar", "port": 80, "frontend": "NodePort"}}


def planned(destination: Mapping[str, object], inventory: Cluster | None = None, **spec: object) -> Plan:
    (plan,) = resolve(probe(destination, **spec), inventory or cluster())
    assert isinstance(plan, Plan), plan
    return plan
