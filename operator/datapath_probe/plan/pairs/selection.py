"""Which pods of a workload or a selector take part in a run. Pure. Called by `pairs`.

Only ready pods do: what is not ready, is starting or is being deleted says nothing about a path.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ...api.reasons import Reason
from ...api.spec.label_selector import LabelRequirement, LabelSelector, SelectorOperator
from ...api.spec.source import Select
from ..objects import Pod
from ..plan import CannotRun

_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Role:
    """The end of a path that pods are selected for, and the reasons why there are none."""

    name: str
    not_found: Reason
    no_pods: Reason
    not_ready: Reason


SOURCE = Role("source", Reason.SOURCE_NOT_FOUND, Reason.NO_SOURCE_PODS, Reason.SOURCE_NOT_READY)
DESTINATION = Role(
    "destination", Reason.DESTINATION_NOT_FOUND, Reason.NO_DESTINATION_PODS, Reason.DESTINATION_NOT_READY
)


@dataclass(frozen=True, slots=True)
class ReadyPods:
    """`of`: the number of pods that are ready or may become so."""

    pods: tuple[Pod, ...]
    of: int


def ready_pods(pods: Iterable[Pod], owner: str, role: Role) -> ReadyPods | CannotRun:
    """The pods that take part. `owner`: what they belong to, such as "Deployment default/frontend"."""
    current = [pod for pod in pods if pod.phase not in _ENDED]
    coming = [pod for pod in current if not pod.terminating]
    ready = [pod for pod in coming if pod.ready and pod.phase == "Running" and pod.ip]
    if ready:
        return ReadyPods(tuple(ready), len(coming))
    if coming:
        return CannotRun(role.not_ready, f"{owner} has no pod that is ready: {_states(coming)}")
    if current:
        return CannotRun(Reason.IN_TRANSITION, f"all {role.name} pods of {owner} are being deleted")
    return CannotRun(role.no_pods, f"{owner} has no pods")


def chosen(pods: Iterable[Pod], select: Select, kept: Collection[str]) -> tuple[Pod, ...]:
    """The pods that send requests. `kept`: the names of those that sent the last ones, which go on. Otherwise the
    oldest do, since a rollout replaces them last.
    """
    if select is Select.ALL:
        return tuple(pods)
    groups: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        groups[pod.node if select is Select.ONE_PER_NODE else ""].append(pod)
    return tuple(min(group, key=_preference(kept)) for group in groups.values())


def spread(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """The pods of one namespace in a fixed order in which nodes take turns: those next to each other are on different
    nodes.
    """
    of_nodes: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in sorted(pods, key=attrgetter("name"), reverse=True):
        of_nodes[pod.node].append(pod)
    turns = [of_nodes[node] for node in sorted(of_nodes)]
    ordered = []
    while turns:
        ordered += [of_node.pop() for of_node in turns]
        turns = [of_node for of_node in turns if of_node]
    return tuple(ordered)


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether the selector selects an object with these labels."""
    return selector.match_labels.items() <= labels.items() and all(
        _is_met(requirement, labels) for requirement in selector.match_expressions
    )


def _is_met(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case SelectorOperator.IN:
            return value in requirement.values
        case SelectorOperator.NOT_IN:
            return value not in requirement.values
        case SelectorOperator.EXISTS:
            return value is not None
        case SelectorOperator.DOES_NOT_EXIST:
            return value is None


def _preference(kept: Collection[str]) -> Callable[[Pod], tuple[bool, float, str]]:
    return lambda pod: (pod.name not in kept, pod.created_at, pod.name)


def _states(pods: Sequence[Pod]) -> str:
    """ "2 Running, 1 Pending"."""
    phases = Counter(pod.phase or "Pending" for pod in pods)
    return ", ".join(f"{number} {phase}" for phase, number in phases.most_common())
