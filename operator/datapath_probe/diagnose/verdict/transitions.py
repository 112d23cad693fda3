"""What is in the middle of changing on a path, in Kubernetes' and Cilium's own words. A failing run then proves
nothing: the verdict is Unknown, and this says what is in transition.

What does not lie on the way of this very connection does not count, and no state counts for ever: a roll-out elsewhere
hides no fault, nor does an agent that has been dead for long. Called by `diagnose`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ...api.vocabulary import HopName
from ...plan.endpoint_churn import EndpointChurn
from ...plan.objects import Pod
from ...plan.plan import Backend, CannotRun, NodeFacts, Plan, PodFacts
from ..run.run import PathRun

# A watch that is cut is as a rule back within seconds; beyond that, what objects say may be long untrue.
_TRUSTED_VIEW_S = 10.0
# An application that has just been started may not listen yet, nor Cilium have told its address to all nodes.
_STARTING_S = 10.0
# Ready endpoints are in the maps of all nodes within a second, on busy nodes a few.
_SPREADING_S = 10.0
# A pod that was created is pulled, started and given an address within this, or something is wrong with it.
_COMING_S = 60.0
# An agent compiles and loads the programs of its endpoints anew after it was started.
_AGENT_STARTING_S = 30.0
# Beyond this an agent or a node that is not ready is down.
_NOT_READY_S = 120.0
# Agents write their endpoints' states every 10 s, so for a moment what a CiliumEndpoint says may be over; beyond this
# its endpoint is stuck in that state, or somebody else has written it.
_REGENERATING_S = 30.0
# Pods leave a node within seconds of its cordon if it is drained.
_DRAINING_S = 30.0


def in_transition(run: PathRun, chosen: Backend | None, doubtful: Collection[HopName]) -> str | None:
    """The first thing that is changing, as one sentence; None when all stands still.

    `chosen`: the backend that the packets went to; `doubtful`: the hops that were not found Ok.
    """
    if run.view_age_s > _TRUSTED_VIEW_S:
        return f"the API server has not been heard for {run.view_age_s:.0f} s, so objects may have changed unseen"
    if isinstance(run.plan_after, CannotRun):
        return run.plan_after.message
    return next(_all(run, chosen, doubtful), None)


def _all(run: PathRun, chosen: Backend | None, doubtful: Collection[HopName]) -> Iterator[str]:
    before, after, now = run.plan, run.plan_after, run.request.started
    is_settled = chosen in before.backends and HopName.SERVICE_LOOKUP not in doubtful
    concerned = (chosen,) if chosen and is_settled else before.backends
    yield from _changing(before, concerned, now)
    if not is_settled and run.destination_churn:
        yield from _endpoint_churn(run.destination_churn, now, has_endpoints=bool(before.backends))
    if HopName.NAME_RESOLUTION in doubtful and run.dns_churn:
        yield from _endpoint_churn(run.dns_churn, now, has_endpoints=True)
    if isinstance(after, Plan):
        yield from _changed(before, after, concerned, is_settled)


def _changing(plan: Plan, concerned: Sequence[Backend], now: float) -> Iterator[str]:
    """What the objects of one moment say about themselves."""
    pods = [plan.source, *(backend.pod_facts for backend in concerned if backend.pod_facts)]
    for facts in pods:
        name = _name(facts.pod)
        if facts.pod.terminating:
            yield f"pod {name} is being deleted"
        if now - facts.pod.started_at < _STARTING_S:
            yield f"pod {name} has just been started"
        endpoint = facts.endpoint
        is_ready = endpoint is None or endpoint.state in ("ready", "")
        if endpoint and not is_ready and _is_recent(endpoint.written_at, now, _REGENERATING_S):
            yield f"the CiliumEndpoint of pod {name} is {endpoint.state}"
    for node in {facts.node.name: facts.node for facts in pods}.values():
        yield from _node_changing(node, now)


def _node_changing(facts: NodeFacts, now: float) -> Iterator[str]:
    agent, node = facts.agent, facts.node
    if agent is None:
        yield f"node {facts.name} has no Cilium agent"
    elif not agent.ready and _is_recent(agent.ready_changed_at, now, _NOT_READY_S):
        yield f"the Cilium agent on {facts.name} is not ready"
    elif now - agent.started_at < _AGENT_STARTING_S:
        yield f"the Cilium agent on {facts.name} was started {_ago(agent.started_at, now)}"
    if node and not node.ready and _is_recent(node.ready_changed_at, now, _NOT_READY_S):
        yield f"node {facts.name} is not ready"
    if node and node.unschedulable and now - node.cordoned_at < _DRAINING_S:
        yield f"node {facts.name} was cordoned {_ago(node.cordoned_at, now)}, and may be draining"


def _endpoint_churn(churn: EndpointChurn, now: float, has_endpoints: bool) -> Iterator[str]:
    """What comes and goes behind a Service. One that nobody is about to serve has no endpoints for good."""
    for pod in churn.unready:
        if pod.terminating:
            yield f"pod {_name(pod)} behind Service {churn.service} is being deleted"
        elif now - max(pod.created_at, pod.started_at) < _COMING_S:
            yield f"pod {_name(pod)} behind Service {churn.service} is about to become ready"
    if has_endpoints and now - churn.endpoints_changed_at < _SPREADING_S:
        when = _ago(churn.endpoints_changed_at, now)
        yield f"the endpoints of Service {churn.service} changed {when}"


def _changed(before: Plan, after: Plan, concerned: Sequence[Backend], is_settled: bool) -> Iterator[str]:
    """What differs between the moments before and after the run."""
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
    """The pod without its readiness, which a fault on the path changes too: it is no sign of a roll-out."""
    return replace(pod, ready=True)


def _is_recent(at: float, now: float, window_s: float) -> bool:
    """Whether it happened within the window, as far as is known."""
    return at == 0 or now - at < window_s


def _ago(at: float, now: float) -> str:
    return f"{max(now - at, 0):.0f} s ago"


def _name(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name}"


def _address(backend: Backend) -> tuple[str, int]:
    return backend.ip, backend.port
