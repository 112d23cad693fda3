"""What a path was asked about while its request was in flight: its next run asks all of it at once.

Which facts checks need follows from the answers to others, so that to find them takes several passes over all checks.
From one run to the next they are mostly the same. A fact that has become superfluous is asked for once more; one that
is new is found as in the first run.

In: the facts that checks looked at. Out: the same facts for the next run. One for all runs. Called by `path_runner`.
"""

import pickle
import zlib
from collections.abc import Collection, Sequence

from ..diagnose.run.run import PathRun
from ..evidence.fact import Fact

Path = tuple[object, ...]


class AskedBefore:
    """Remembers the `limit` paths that ran most recently; a path takes 1 kB."""

    def __init__(self, limit: int = 5_000) -> None:
        self._limit = limit
        self._paths: dict[Path, tuple[int, bytes]] = {}  # hash and content; the latest last

    def facts(self, path: Path) -> Sequence[Fact]:
        """The facts that the last run looked at; none if it is not known."""
        _, known = self._paths.get(path, (0, None))
        if known is None:
            return ()
        found = pickle.loads(zlib.decompress(known))  # noqa: S301 (written below)
        return [Fact.of(kind, node, **dict(parameters)) for kind, node, parameters in found]

    def forget(self, path: Path) -> None:
        """The next run finds its facts as the first one did."""
        self._paths.pop(path, None)

    def note(self, path: Path, facts: Collection[Fact], local_port: int) -> None:
        """Remember the facts that are not about this one connection. None: they were found elsewhere."""
        lasting = frozenset(fact for fact in facts if not _is_about(fact, local_port))
        known = self._paths.pop(path, None)
        if known is None or known[0] != hash(lasting):
            known = hash(lasting), _packed(lasting)
        if lasting:
            self._paths[path] = known
        if len(self._paths) > self._limit:
            del self._paths[next(iter(self._paths))]


def path_of(run: PathRun) -> Path:
    """What must be equal in two runs for their facts to be mostly the same."""
    plan = run.plan
    return plan.probe, plan.source.pod.uid, plan.destination, frozenset(run.others)


def _is_about(fact: Fact, local_port: int) -> bool:
    return any(value == local_port for _, value in fact.parameters)


def _packed(facts: Collection[Fact]) -> bytes:
    return zlib.compress(pickle.dumps([(fact.kind, fact.node, fact.parameters) for fact in facts]))
