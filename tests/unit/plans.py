"""Changes of a plan, for tests of its diagnosis."""

from dataclasses import replace

from datapath_probe.plan.plan import Backend, Frontend, Plan, PodTarget, ServiceTarget


def with_backends(plan: Plan, *backends: Backend) -> Plan:
    """The plan with these addresses that may answer; for a pod, exactly one."""
    if isinstance(plan.target, PodTarget):
        (backend,) = backends
        return replace(plan, target=replace(plan.target, backend=backend))
    return replace(plan, target=replace(plan.target, backends=backends))


def with_frontend(plan: Plan, frontend: Frontend) -> Plan:
    """The plan of a Service, requested here."""
    assert isinstance(plan.target, ServiceTarget)
    return replace(plan, target=replace(plan.target, frontend=frontend))
