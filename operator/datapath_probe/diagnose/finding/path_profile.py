"""The profile of a path, and the differences between two profiles as text. A profile holds properties that stay the
same on a healthy path: no addresses, interface indexes, program IDs or ports, which change with every pod and every
agent.

Made by `observed_profile`, stored and compared by `publish.status.path_profile_tracker`. Pure.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from ...api.vocabulary import LoadBalancing

Known = TypeVar("Known")

_NAMED = 4  # more backends of a changed set are counted, not named


@dataclass(frozen=True, slots=True)
class ObservedAttachment:
    """How programs are attached to the interfaces of pods on a node. `attach_mode`: tcx, tc or netkit; `programs`: in
    order.
    """

    attach_mode: str
    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObservedPathProfile:
    """The path from the sources of a probe to the backends of its destination.

    `routing`: vxlan, geneve or native. `sources`, `backends`: the node of each pod. `backend_count`: larger than
    `backends` if not all backends are kept. `node_attachments`: by node; a run observes only the nodes of its path.
    """

    destination: str  # namespace/name:port
    routing: str
    load_balancing: LoadBalancing
    endpoint_routes: bool
    sources: Mapping[str, str]
    backends: Mapping[str, str]
    backend_count: int
    node_attachments: Mapping[str, ObservedAttachment]

    def fingerprint(self, source: str, backend: str) -> str | None:
        """`sha256:` and the first 32 digits of the digest of the path between these two pods, as JSON with sorted keys.
        The pods' names are not part of it: another backend on the same node has the same path. None while something is
        not known.
        """
        nodes = self.sources.get(source), self.backends.get(backend)
        attachments = [self.node_attachments.get(node or "") for node in nodes]
        if None in attachments:
            return None
        facts = {
            "nodes": nodes,
            "routing": self.routing if nodes[0] != nodes[1] else None,
            "loadBalancing": self.load_balancing,
            "endpointRoutes": self.endpoint_routes,
            "nodeAttachments": [asdict(attachment) for attachment in attachments if attachment],
        }
        return f"sha256:{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]}"

    def with_attachments_of(self, earlier: "ObservedPathProfile") -> "ObservedPathProfile":
        """This profile, with earlier attachments for its nodes that this run did not observe."""
        nodes = {*self.sources.values(), *self.backends.values()}
        known = {node: found for node, found in earlier.node_attachments.items() if node in nodes}
        return replace(self, node_attachments={**known, **self.node_attachments})

    def with_sources_of(self, earlier: "ObservedPathProfile") -> "ObservedPathProfile":
        """This profile, with earlier sources for paths that have no profile in this run."""
        return replace(self, sources={**earlier.sources, **self.sources})


def merged(profiles: Sequence[ObservedPathProfile]) -> ObservedPathProfile:
    """The common profile of all paths of a run. A path to a Service decides about load balancing: further paths may
    lead to its backends directly.
    """
    balanced = (profile for profile in profiles if profile.load_balancing is not LoadBalancing.NONE)
    return replace(
        next(balanced, profiles[0]),
        sources=_union(profile.sources for profile in profiles),
        backends=_union(profile.backends for profile in profiles),
        backend_count=max(profile.backend_count for profile in profiles),
        node_attachments=_union(profile.node_attachments for profile in profiles),
    )


def _union(parts: Iterable[Mapping[str, Known]]) -> Mapping[str, Known]:
    return {name: value for part in parts for name, value in part.items()}


def changes(before: ObservedPathProfile, after: ObservedPathProfile) -> tuple[str, ...]:
    """The differences as text. Properties that only one of the profiles has are not compared."""
    return (
        *_moves(before, after),
        *_backend_set(before, after),
        *_settings(before, after),
        *_attachments(before, after),
    )


def _moves(before: ObservedPathProfile, after: ObservedPathProfile) -> Iterator[str]:
    to_pod = after.load_balancing is LoadBalancing.NONE
    for role, old, new in (
        ("source" if len(after.sources) == 1 else "source {}", before.sources, after.sources),
        ("destination" if to_pod else "backend {}", before.backends, after.backends),
    ):
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                yield f"{role.format(name)} moved {old[name]} → {new[name]}"


def _backend_set(before: ObservedPathProfile, after: ObservedPathProfile) -> Iterator[str]:
    if _partial(before) or _partial(after):
        if before.backend_count != after.backend_count:
            yield f"backend set changed: {before.backend_count} → {after.backend_count} backends"
    elif before.backends.keys() != after.backends.keys():
        gone = [f"-{name}@{node}" for name, node in before.backends.items() if name not in after.backends]
        new = [f"+{name}@{node}" for name, node in after.backends.items() if name not in before.backends]
        yield f"backend set changed: {_some(sorted(new) + sorted(gone))}"


def _partial(profile: ObservedPathProfile) -> bool:
    return profile.backend_count > len(profile.backends)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _settings(before: ObservedPathProfile, after: ObservedPathProfile) -> Iterator[str]:
    if before.routing != after.routing and _leaves_node(before) and _leaves_node(after):
        yield f"routing {before.routing} → {after.routing}"
    if before.load_balancing is not after.load_balancing:
        yield f"load balancing {before.load_balancing} → {after.load_balancing}"
    if before.endpoint_routes != after.endpoint_routes:
        yield "endpoint routes " + ("off → on" if after.endpoint_routes else "on → off")


def _leaves_node(profile: ObservedPathProfile) -> bool:
    return len({*profile.sources.values(), *profile.backends.values()}) > 1


def _attachments(before: ObservedPathProfile, after: ObservedPathProfile) -> Iterator[str]:
    """The same change on several nodes is reported once."""
    nodes: defaultdict[str, list[str]] = defaultdict(list)
    for node in sorted(before.node_attachments.keys() & after.node_attachments.keys()):
        old, new = before.node_attachments[node], after.node_attachments[node]
        if old.attach_mode != new.attach_mode:
            nodes[f"attach mode {old.attach_mode} → {new.attach_mode}"].append(node)
        if old.programs != new.programs:
            nodes[f"programs {', '.join(old.programs)} → {', '.join(new.programs)}"].append(node)
    for change, where in nodes.items():
        yield f"{change} on {_some(where)}"
