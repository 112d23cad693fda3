"""What is in the middle of changing on a path, in Kubernetes' and Cilium's own words. A failing run then proves
nothing: the verdict is Unknown, and this says what is in transition.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan.objects import Pod
from ..plan.plan import CannotRun, NodeFacts, Plan, PodFacts
from .run import Run

# A watch that is cut is as a rule back within seconds; beyond that, what objects say may be long untrue.
_TRUSTED_VIEW_S = 10.0
# An application that has just been started may not listen yet, nor Cilium have told its address to all nodes.
_STARTING_S = 10.0


def in_transition(run: Run) -> str | None:
    """The first thing that is changing, as one sentence; None when all stands still."""
    before, after = run.plan, run.plan_after
    if run.view_age_s > _TRUSTED_VIEW_S:
        return f"the API server has not been heard for {run.view_age_s:.0f} s, so objects may have changed unseen"
    if isinstance(after, CannotRun):
        return after.message
    return next(_changing(before, run.request.started), None) or (
        next(_changed(before, after), None) if after else None
    )


def _changing(plan: Plan, now: float) -> Iterator[str]:
    """What the objects of one moment say about themselves."""
    for facts in _pods(plan):
        name = f"{facts.pod.namespace}/{facts.pod.name}"
        if facts.pod.terminating:
            yield f"pod {name} is being deleted"
        if now - facts.pod.started_at < _STARTING_S:
            yield f"pod {name} has just been started"
        if facts.endpoint and facts.endpoint.state not in ("ready", ""):
            yield f"the CiliumEndpoint of pod {name} is {facts.endpoint.state}"
    for node in _nodes(plan):
        if node.agent is None:
            yield f"node {node.name} has no Cilium agent"
        elif not node.agent.ready:
            yield f"the Cilium agent on {node.name} is not ready"
        if node.node and not node.node.ready:
            yield f"node {node.name} is not ready"


def _changed(before: Plan, after: Plan) -> Iterator[str]:
    """What differs between the moments before and after the run."""
    if before.source != after.source:
        yield from _pod_changes(before.source, after.source)
    if before.frontend != after.frontend:
        yield f"the Service of {before.destination} changed during the run"
    if [(b.ip, b.port) for b in before.backends] != [(b.ip, b.port) for b in after.backends]:
        yield f"the ready endpoints of {before.destination} changed during the run"
    for old, new in zip(before.backends, after.backends, strict=False):
        if old.target and new.target and old.target != new.target:
            yield from _pod_changes(old.target, new.target)
    if before.config != after.config:
        yield "Cilium's configuration changed during the run"


def _pod_changes(before: PodFacts, after: PodFacts) -> Iterator[str]:
    name = f"{before.pod.namespace}/{before.pod.name}"
    if before.pod.uid != after.pod.uid:
        yield f"pod {name} was re-created during the run"
    elif before.pod.restarts != after.pod.restarts:
        yield f"a container of pod {name} restarted during the run"
    elif _standing(before.pod) != _standing(after.pod):
        yield f"pod {name} changed during the run"
    elif before.endpoint != after.endpoint:
        yield f"the CiliumEndpoint of pod {name} changed during the run"
    elif before.node != after.node:
        yield f"node {before.node.name} changed during the run"


def _standing(pod: Pod) -> Pod:
    """The pod without its readiness, which a fault on the path changes too: it is no sign of a roll-out."""
    return replace(pod, ready=True)


def _pods(plan: Plan) -> Iterator[PodFacts]:
    yield plan.source
    for backend in plan.backends:
        if backend.target:
            yield backend.target


def _nodes(plan: Plan) -> Iterator[NodeFacts]:
    seen: set[str] = set()
    for facts in _pods(plan):
        if facts.node.name not in seen:
            seen.add(facts.node.name)
            yield facts.node
