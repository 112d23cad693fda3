"""The way that packets take, and how two ways differ, in words. What comes in: facts that stay the same while all is
well; no addresses, ifindexes, program ids or ports, which are new with every pod and every agent.

Made by `seen_way`, remembered and compared by `publish.status.path_profile_tracker`. Pure.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

Known = TypeVar("Known")

NO_LOAD_BALANCING = "none"
_NAMED = 4  # backends of a changed set that are named one by one


@dataclass(frozen=True, slots=True)
class Entry:
    """How packets of a node's pods come under Cilium's care: `attach` is tcx, tc or netkit; `programs` in order."""

    attach: str
    programs: str


@dataclass(frozen=True, slots=True)
class Way:
    """From the sources of a probe to the backends of its destination.

    `routing`: vxlan, geneve or native; `load_balancing`: per packet, socket, or none where no Service is asked.
    `sources`, `backends`: the node of each pod; `backend_count` is larger when not all backends are kept. `entries`: by
    node, as far as seen: a run tells of the nodes that its packets passed.
    """

    destination: str  # namespace/name:port
    routing: str
    load_balancing: str
    endpoint_routes: bool
    sources: Mapping[str, str]
    backends: Mapping[str, str]
    backend_count: int
    entries: Mapping[str, Entry]

    def fingerprint(self, source: str, backend: str) -> str | None:
        """`sha256:` and the first 32 digits of the digest of the way between these two pods, as JSON with sorted keys.
        The pods' names are not part of it: another backend on the same node is reached the same way. None while
        something is not known.
        """
        nodes = self.sources.get(source), self.backends.get(backend)
        entries = [self.entries.get(node or "") for node in nodes]
        if None in entries:
            return None
        facts = {
            "nodes": nodes,
            "routing": self.routing if nodes[0] != nodes[1] else None,
            "loadBalancing": self.load_balancing,
            "endpointRoutes": self.endpoint_routes,
            "entries": [asdict(entry) for entry in entries if entry],
        }
        return f"sha256:{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]}"

    def with_entries_of(self, earlier: "Way") -> "Way":
        """This way with what was seen before on those of its nodes that this run did not pass."""
        nodes = {*self.sources.values(), *self.backends.values()}
        known = {node: entry for node, entry in earlier.entries.items() if node in nodes}
        return replace(self, entries={**known, **self.entries})

    def with_sources_of(self, earlier: "Way") -> "Way":
        """This way with the sources that were seen before: those of paths that this run can't tell of."""
        return replace(self, sources={**earlier.sources, **self.sources})


def merged(ways: Sequence[Way]) -> Way:
    """The way of all paths of a run, which have the destination in common."""
    return replace(
        ways[0],
        sources=_union(way.sources for way in ways),
        backends=_union(way.backends for way in ways),
        backend_count=max(way.backend_count for way in ways),
        entries=_union(way.entries for way in ways),
    )


def _union(parts: Iterable[Mapping[str, Known]]) -> Mapping[str, Known]:
    return {name: value for part in parts for name, value in part.items()}


def changes(before: Way, after: Way) -> tuple[str, ...]:
    """What is different now, in words; facts that only one of both knows are not compared."""
    return (
        *_moves(before, after),
        *_backend_set(before, after),
        *_settings(before, after),
        *_entries(before, after),
    )


def _moves(before: Way, after: Way) -> Iterator[str]:
    to_pod = after.load_balancing == NO_LOAD_BALANCING
    for role, old, new in (
        ("source" if len(after.sources) == 1 else "source {}", before.sources, after.sources),
        ("destination" if to_pod else "backend {}", before.backends, after.backends),
    ):
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                yield f"{role.format(name)} moved {old[name]} → {new[name]}"


def _backend_set(before: Way, after: Way) -> Iterator[str]:
    if _partial(before) or _partial(after):
        if before.backend_count != after.backend_count:
            yield f"backend set changed: {before.backend_count} → {after.backend_count} backends"
    elif before.backends.keys() != after.backends.keys():
        gone = [f"-{name}@{node}" for name, node in before.backends.items() if name not in after.backends]
        new = [f"+{name}@{node}" for name, node in after.backends.items() if name not in before.backends]
        yield f"backend set changed: {_some(sorted(new) + sorted(gone))}"


def _partial(way: Way) -> bool:
    return way.backend_count > len(way.backends)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _settings(before: Way, after: Way) -> Iterator[str]:
    if before.routing != after.routing and _leaves_node(before) and _leaves_node(after):
        yield f"routing {before.routing} → {after.routing}"
    if before.load_balancing != after.load_balancing:
        yield f"load balancing {before.load_balancing} → {after.load_balancing}"
    if before.endpoint_routes != after.endpoint_routes:
        yield "per-endpoint routes " + ("off → on" if after.endpoint_routes else "on → off")


def _leaves_node(way: Way) -> bool:
    return len({*way.sources.values(), *way.backends.values()}) > 1


def _entries(before: Way, after: Way) -> Iterator[str]:
    """The same change on several nodes is told once."""
    nodes: defaultdict[str, list[str]] = defaultdict(list)
    for node in sorted(before.entries.keys() & after.entries.keys()):
        old, new = before.entries[node], after.entries[node]
        if old.attach != new.attach:
            nodes[f"attach {old.attach} → {new.attach}"].append(node)
        if old.programs != new.programs:
            nodes[f"programs {old.programs} → {new.programs}"].append(node)
    for words, where in nodes.items():
        yield f"{words} on {_some(where)}"
