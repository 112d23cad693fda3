"""Resolves the source of a probe: the pod, and the container in which curl runs. Called by `resolve`."""

from ..api.probe import Probe
from ..api.reasons import Reason
from .facts import Facts, state_text
from .objects import Container, Inventory, Pod
from .plan import CannotRun, PodFacts


def resolve_source(probe: Probe, source: str, inventory: Inventory) -> tuple[PodFacts, str] | CannotRun:
    """The source pod and the name of the container, if curl can run there now. `source`: the name of the pod."""
    spec = probe.spec.source
    name = f"{probe.meta.namespace}/{source}"
    pod = inventory.pod(probe.meta.namespace, source)
    if pod is None:
        return CannotRun(Reason.SOURCE_NOT_FOUND, f"there is no pod {name}", source=name)
    if pod.terminating:
        return CannotRun(Reason.IN_TRANSITION, f"source pod {name} is being deleted", source=name)
    if pod.phase != "Running" or not pod.ip:
        return CannotRun(Reason.SOURCE_NOT_RUNNING, f"source pod {name} {state_text(pod)}", source=name)
    container = _container(pod, spec.container)
    if container is None:
        names = ", ".join(c.name for c in pod.containers)
        return CannotRun(
            Reason.CONTAINER_NOT_FOUND,
            f"pod {name} has no container {spec.container!r}; it has: {names}",
            source=name,
        )
    if not container.running:
        return CannotRun(
            Reason.CONTAINER_NOT_RUNNING,
            f"container {container.name} of pod {name} is not running",
            source=name,
        )
    return Facts(inventory).pod(pod), container.name


def _container(pod: Pod, wanted: str | None) -> Container | None:
    """The named container, else the annotated default, else the first, as kubectl does."""
    by_name = {container.name: container for container in pod.containers}
    if wanted is not None:
        return by_name.get(wanted)
    if pod.default_container in by_name:
        return by_name[pod.default_container]
    return pod.containers[0] if pod.containers else None
