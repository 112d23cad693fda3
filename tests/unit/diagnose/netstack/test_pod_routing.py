"""What a pod's kernel is asked about its packets."""

from dataclasses import replace

from datapath_probe.diagnose.engine import questions_of
from unit.plans import with_frontend
from unit.recorded import recorded


def test_a_pod_that_calls_a_node_port_is_asked_for_that_port() -> None:
    run = recorded("egress-policy-deny-service")
    frontend = run.plan.frontend
    assert frontend is not None
    plan = with_frontend(run.plan, replace(frontend, node_port=30080))
    asked = [" ".join(question.argv) for question in questions_of(replace(run, plan=plan, plan_after=plan))]
    sent = [argv for argv in asked if argv.startswith("nsenter") and f"route get {frontend.ip} " in argv]
    assert sent
    assert all(argv.endswith("dport 30080") for argv in sent if "dport" in argv and " iif " not in argv)
    assert any(argv.endswith("dport 30080") for argv in sent)
