"""Probe + inventory → the pairs of source and destination that the probe stands for now. Pure. Called by `runs`, which
has `resolve` make the plans of some of them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import lcm

from ...api.probe import Probe
from ...api.reasons import Reason
from ...api.spec.destination import Destination, RequestedBackends
from ...api.spec.source import Select, Source
from ...api.vocabulary import WorkloadKind
from ..destination import PodEnd, Requested, ready_backends
from ..families import ANY, Families, families_of_paths
from ..objects import Inventory, Pod
from ..plan import CannotRun, Plan
from .ends import destination_name, selector_text, source_name
from .selection import DESTINATION, SOURCE, ReadyPods, Role, chosen, ready_pods, selects, spread


@dataclass(frozen=True, slots=True)
class Pair:
    """`source`: the name of a pod in the namespace of the probe. `families`: the versions of IP, the first that both
    ends have is used.
    """

    source: str
    destination: Requested
    families: Families = ANY


@dataclass(frozen=True, slots=True)
class Selected:
    """The pods that one end of a probe stands for, if it names none: how to display them, and the node of each."""

    text: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pairs:
    """All sources with all destinations, each over all `families`. `not_to_itself`: the pods that are both, and are not
    paired with themselves. `requested`: the name of the destination in the spec. `selected`: for sources and for
    destinations.
    """

    sources: tuple[str, ...]
    destinations: tuple[Requested, ...]
    requested: str
    not_to_itself: frozenset[str] = frozenset()
    selected: tuple[Selected, Selected] = (Selected(), Selected())
    families: tuple[Families, ...] = (ANY,)

    def __len__(self) -> int:
        ends = len(self.sources) * len(self.destinations)
        return (ends - len(self.not_to_itself)) * len(self.families)

    def _has(self, source: str, destination: Requested) -> bool:
        """Whether it is a pair. All destinations that are pods are in one namespace."""
        itself = isinstance(destination, PodEnd) and destination.name == source
        return not (itself and source in self.not_to_itself)

    def turns(self, start: int) -> Iterator[tuple[int, Pair]]:
        """Each pair once, with its position, beginning at a position. Pairs next to each other have different sources
        and different destinations, as far as there are others.
        """
        sources, destinations = len(self.sources), len(self.destinations) * len(self.families)
        total, block = sources * destinations, lcm(sources, destinations)  # after a block, pairs would repeat
        for position in (number % total for number in range(start, start + total)):
            number, family = divmod((position + position // block) % destinations, len(self.families))
            source, destination = self.sources[position % sources], self.destinations[number]
            if self._has(source, destination):
                yield position, Pair(source, destination, self.families[family])

    def among(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Those of the pairs that still belong to the probe."""
        wanted = tuple(pairs)
        sources, destinations = (set(self.sources), set(self.destinations)) if wanted else (set(), set())
        for pair in wanted:
            known = pair.source in sources and pair.destination in destinations
            if known and pair.families in self.families and self._has(pair.source, pair.destination):
                yield pair


def pairs_of(probe: Probe, inventory: Inventory, kept: Collection[str] = ()) -> Pairs | CannotRun:
    """The pairs now. `kept`: the names of the pods that sent the last requests, which go on (`selection.chosen`)."""
    namespace, spec = probe.meta.namespace, probe.spec
    source, destination = source_name(spec.source, namespace), destination_name(spec.destination, namespace)
    senders = _senders(spec.source, namespace, inventory)
    if isinstance(senders, CannotRun):
        return replace(senders, source=source, destination=destination)
    receivers = _receivers(spec.destination, namespace, inventory)
    if isinstance(receivers, CannotRun):
        return replace(receivers, source=source, destination=destination)
    requested, received = receivers
    sources: tuple[str, ...] = (spec.source.pod or "",)
    sent = Selected()
    if senders:
        pods = spread(chosen(senders.pods, spec.source.select or Select.ONE, kept))
        sources, sent = tuple(pod.name for pod in pods), _selected(source, pods, senders.of)
    both = _both(namespace, sources, requested) if received.text else frozenset()
    families = families_of_paths(spec.ip_family)
    return Pairs(sources, requested, destination, both, (sent, received), families)


def is_gone(pair: Pair, plan: Plan | CannotRun, probe: Probe, inventory: Inventory) -> bool:
    """Whether a pod of this pair that the probe does not name is being deleted, or is not the one of the plan."""
    uids = _uids(plan) if isinstance(plan, Plan) else {}
    ends = [(probe.meta.namespace, pair.source)] if probe.spec.source.pod is None else []
    if isinstance(pair.destination, PodEnd) and probe.spec.destination.pod is None:
        ends.append((pair.destination.namespace, pair.destination.name))
    now = {end: inventory.pod(*end) for end in ends}
    return any(
        pod is None or pod.terminating or pod.uid != uids.get(end, pod.uid) for end, pod in now.items()
    )


def _uids(plan: Plan) -> Mapping[tuple[str, str], str]:
    """The uids of source and backends by namespace and name."""
    pods = (plan.source, *(backend.pod_facts for backend in plan.backends if backend.pod_facts))
    return {(facts.pod.namespace, facts.pod.name): facts.pod.uid for facts in pods}


def _senders(source: Source, namespace: str, inventory: Inventory) -> ReadyPods | CannotRun | None:
    """The pods that may send requests; None if the probe names one."""
    if source.workload:
        return _of_workload(source.workload.kind, namespace, source.workload.name, SOURCE, inventory)
    if source.selector is None:
        return None
    selector = selector_text(source.selector)
    matching = [pod for pod in inventory.pods_in(namespace) if selects(source.selector, pod.labels)]
    if not matching:
        message = f"no pod in namespace {namespace} matches the selector {selector}"
        return CannotRun(Reason.NO_MATCHING_PODS, message)
    return ready_pods(matching, f"the selector {selector} in namespace {namespace}", SOURCE)


def _receivers(
    destination: Destination, namespace: str, inventory: Inventory
) -> tuple[tuple[Requested, ...], Selected] | CannotRun:
    """What is requested."""
    if pod := destination.pod:
        return (PodEnd(pod.namespace or namespace, pod.name, pod.port),), Selected()
    name = destination_name(destination, namespace)
    if workload := destination.workload:
        there = workload.namespace or namespace
        found = _of_workload(workload.kind, there, workload.name, DESTINATION, inventory)
        if isinstance(found, CannotRun):
            return found
        pods = spread(found.pods)
        ends = tuple(PodEnd(there, pod.name, workload.port) for pod in pods)
        return ends, _selected(name, pods, found.of)
    if destination.address:
        return (destination.address,), Selected()
    service = destination.service
    assert service  # the schema's "exactly one of"
    if destination.backends is not RequestedBackends.EACH:
        return (service,), Selected()
    there = service.namespace or namespace
    backends = ready_backends(service, there, inventory)
    ends = tuple(PodEnd(there, pod.name, port) for pod, port in backends)
    text = f"{name} and {len(ends)} {'backend' if len(ends) == 1 else 'backends'}"
    return (service, *ends), Selected(text, {pod.name: pod.node for pod, _ in backends})


def _of_workload(
    kind: WorkloadKind, namespace: str, name: str, role: Role, inventory: Inventory
) -> ReadyPods | CannotRun:
    pods = inventory.workload_pods(kind, namespace, name)
    if pods is None:
        return CannotRun(role.not_found, f"there is no {kind} {namespace}/{name}")
    return ready_pods(pods, f"{kind} {namespace}/{name}", role)


def _selected(name: str, pods: Sequence[Pod], of: int) -> Selected:
    """ "default/deploy/frontend (3 pods)", or "(2 of 3 pods)"."""
    number = f"{of}" if len(pods) == of else f"{len(pods)} of {of}"
    return Selected(f"{name} ({number} {'pod' if of == 1 else 'pods'})", {pod.name: pod.node for pod in pods})


def _both(namespace: str, sources: Sequence[str], destinations: Sequence[Requested]) -> frozenset[str]:
    """The pods that are sources and destinations; none if there is no other pair. Packets of a pod to itself do not
    leave it.
    """
    known = set(sources)
    both = frozenset(
        end.name
        for end in destinations
        if isinstance(end, PodEnd) and end.namespace == namespace and end.name in known
    )
    return both if len(both) < len(sources) * len(destinations) else frozenset()
