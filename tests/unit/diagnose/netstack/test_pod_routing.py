"""The route lookups in a pod's network namespace."""

from dataclasses import replace

from datapath_probe.diagnose.engine import facts_of
from datapath_probe.evidence.fact_kinds import FactKind
from unit.plans import with_frontend
from unit.recorded import recorded


def test_a_pod_that_calls_a_node_port_looks_up_that_port() -> None:
    run = recorded("egress-policy-deny-service")
    frontend = run.plan.frontend
    assert frontend is not None
    plan = with_frontend(run.plan, replace(frontend, node_port=30080))
    asked = facts_of(replace(run, plan=plan, plan_after=plan))
    sent = [q for q in asked if q.kind is FactKind.ROUTE and q.get("namespace")]
    ports = {q.get("destination_port") for q in sent if q.get("destination") == str(frontend.ip)}
    assert ports - {None} == {30080}
