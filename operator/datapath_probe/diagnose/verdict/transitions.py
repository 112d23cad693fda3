"""What is changing on a path, according to Kubernetes and Cilium. A failed run then proves nothing: the verdict is
Unknown, with what is in transition.

Only changes on the path of this connection count, and only within a time window: a rollout elsewhere hides no fault,
nor does an agent that has been down for long. Called by `examination`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ...addresses import IpAddress
from ...api.vocabulary import HopName
from ...plan.endpoint_churn import EndpointChurn
from ...plan.objects import Pod
from ...plan.other_backends import OtherBackend
from ...plan.plan import Backend, CannotRun, Frontend, NodeFacts, Plan, PodFacts
from ..run.run import PathRun
from ..run.windows import Windows


def in_transition(run: PathRun, chosen: Backend | None, doubtful: Collection[HopName]) -> str | None:
    """The first change that is in progress, as one sentence; None if everything is stable.

    `chosen`: the backend that packets went to. `doubtful`: the hops that are not Ok.
    """
    if run.view_age_s > run.windows.trusted_view_s:
        return (
            f"the API server has not answered for {run.view_age_s:.0f} s, so objects may have changed unseen"
        )
    if isinstance(run.plan_after, CannotRun):
        return run.plan_after.message
    return next(_all(run, chosen, doubtful), None)


def other_in_transition(run: PathRun, other: OtherBackend) -> str | None:
    """What is changing about a backend that the request did not use; its finding then proves nothing."""
    backend, after = other.in_plan(run.plan), run.plan_after
    if backend is None or not isinstance(after, Plan) or run.view_age_s > run.windows.trusted_view_s:
        return "the objects are not known"
    now, windows = run.request.started, run.windows
    churn = run.dns_churn if other.of_dns else run.destination_churn
    changes = (
        *_changing(run.plan, (backend,), now, windows),
        *(_endpoint_churn(churn, now, windows, has_endpoints=True) if churn else ()),
        *(() if other.in_plan(after) == backend else ("the backend changed during the run",)),
    )
    return next(iter(changes), None)


def _all(run: PathRun, chosen: Backend | None, doubtful: Collection[HopName]) -> Iterator[str]:
    before, after, now, windows = run.plan, run.plan_after, run.request.started, run.windows
    is_settled = (
        chosen in before.backends
        and HopName.SERVICE_LOOKUP not in doubtful
        and not any(backend.wrongly_listed for backend in before.backends)
    )
    concerned = (chosen,) if chosen and is_settled else before.backends
    yield from _changing(before, concerned, now, windows)
    if not is_settled and run.destination_churn and _is_served(before.frontend):
        yield from _endpoint_churn(run.destination_churn, now, windows, has_endpoints=bool(before.backends))
    nameserver = before.nameserver.frontend if before.nameserver else None
    if HopName.NAME_RESOLUTION in doubtful and run.dns_churn and _is_served(nameserver):
        yield from _endpoint_churn(run.dns_churn, now, windows, has_endpoints=True)
    if isinstance(after, Plan):
        yield from _changed(before, after, concerned, is_settled)


def _is_served(frontend: Frontend | None) -> bool:
    """Whether Cilium serves the Service at all; otherwise changes of its endpoints do not matter."""
    return frontend is None or not frontend.not_served


def _changing(plan: Plan, concerned: Sequence[Backend], now: float, windows: Windows) -> Iterator[str]:
    """Changes that the current state of the objects shows."""
    pods = [plan.source, *(backend.pod_facts for backend in concerned if backend.pod_facts)]
    for facts in pods:
        name = _name(facts.pod)
        if facts.pod.terminating:
            yield f"pod {name} is being deleted"
        if now - facts.pod.started_at < windows.pod_starting_s:
            yield f"pod {name} has just started"
        endpoint = facts.endpoint
        is_ready = endpoint is None or endpoint.state in ("ready", "")
        if endpoint and not is_ready and _is_recent(endpoint.written_at, now, windows.regenerating_s):
            yield f"the CiliumEndpoint of pod {name} is {endpoint.state}"
    for node in {facts.node.name: facts.node for facts in pods}.values():
        yield from _node_changing(node, now, windows)


def _node_changing(facts: NodeFacts, now: float, windows: Windows) -> Iterator[str]:
    agent, node = facts.agent, facts.node
    if agent is None:
        yield f"node {facts.name} has no Cilium agent"
    elif not agent.ready and _is_recent(agent.ready_changed_at, now, windows.not_ready_s):
        yield f"the Cilium agent on {facts.name} is not ready"
    elif now - agent.started_at < windows.agent_starting_s:
        yield f"the Cilium agent on {facts.name} was started {_ago(agent.started_at, now)}"
    if node and not node.ready and _is_recent(node.ready_changed_at, now, windows.not_ready_s):
        yield f"node {facts.name} is not ready"
    if node and node.unschedulable and now - node.cordoned_at < windows.draining_s:
        yield f"node {facts.name} was cordoned {_ago(node.cordoned_at, now)}, and may be draining"


def _endpoint_churn(churn: EndpointChurn, now: float, windows: Windows, has_endpoints: bool) -> Iterator[str]:
    """Endpoints of a Service that come and go. If none is about to become ready, having none is not a change."""
    for pod in churn.unready:
        if pod.terminating:
            yield f"pod {_name(pod)} behind Service {churn.service} is being deleted"
        elif now - max(pod.created_at, pod.started_at) < windows.pod_coming_s:
            yield f"pod {_name(pod)} behind Service {churn.service} is about to become ready"
    if has_endpoints and now - churn.endpoints_changed_at < windows.endpoints_spreading_s:
        when = _ago(churn.endpoints_changed_at, now)
        yield f"the endpoints of Service {churn.service} changed {when}"


def _changed(before: Plan, after: Plan, concerned: Sequence[Backend], is_settled: bool) -> Iterator[str]:
    """Differences between the plans before and after the run."""
    if before.source != after.source:
        yield from _pod_changes(before.source, after.source)
    if before.frontend != after.frontend:
        yield f"the Service of {before.destination} changed during the run"
    now_there = {_address(backend): backend for backend in after.backends}
    lost = any(_address(backend) not in now_there for backend in concerned)
    if lost or not (is_settled or len(now_there) == len(concerned)):
        yield f"the ready endpoints of {before.destination} changed during the run"
    for old in concerned:
        new = now_there.get(_address(old), old)
        if old.pod_facts and new.pod_facts and old.pod_facts != new.pod_facts:
            yield from _pod_changes(old.pod_facts, new.pod_facts)
        elif old.pod_facts and not new.pod_facts:
            yield f"pod {_name(old.pod_facts.pod)} changed during the run"
    if before.config != after.config:
        yield "Cilium's configuration changed during the run"


def _pod_changes(before: PodFacts, after: PodFacts) -> Iterator[str]:
    name = _name(before.pod)
    if before.pod.uid != after.pod.uid:
        yield f"pod {name} was re-created during the run"
    elif before.pod.restarts != after.pod.restarts:
        yield f"a container of pod {name} restarted during the run"
    elif _without_readiness(before.pod) != _without_readiness(after.pod):
        yield f"pod {name} changed during the run"
    elif before.endpoint != after.endpoint:
        yield f"the CiliumEndpoint of pod {name} changed during the run"
    elif before.node != after.node:
        yield f"node {before.node.name} changed during the run"


def _without_readiness(pod: Pod) -> Pod:
    """The pod without its readiness, which a fault on the path can change too: it does not prove a rollout."""
    return replace(pod, ready=True)


def _is_recent(at: float, now: float, window_s: float) -> bool:
    """Whether it happened within the window; True if unknown."""
    return at == 0 or now - at < window_s


def _ago(at: float, now: float) -> str:
    return f"{max(now - at, 0):.0f} s ago"


def _name(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name}"


def _address(backend: Backend) -> tuple[IpAddress, int]:
    return backend.ip, backend.port
