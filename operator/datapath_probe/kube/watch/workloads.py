"""Which workloads exist, and which ReplicaSets belong to a Deployment: metadata only, kept in sync by watches.

In: an `ApiClient`. Out: the uids that the pods of a workload have as their controller. Part of `inventory`. Neither
spec nor status is read: what a workload wants does not matter, and both change often.
"""

import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass

from kubernetes.aio.client import ApiClient

from ...api.vocabulary import WorkloadKind
from ..objects.fields import Skips, controller, text
from .reflector import Reflector, Resource

_PATHS = {
    WorkloadKind.DEPLOYMENT: "/apis/apps/v1/deployments",
    WorkloadKind.STATEFUL_SET: "/apis/apps/v1/statefulsets",
    WorkloadKind.DAEMON_SET: "/apis/apps/v1/daemonsets",
    WorkloadKind.REPLICA_SET: "/apis/apps/v1/replicasets",
    WorkloadKind.JOB: "/apis/batch/v1/jobs",
}


@dataclass(frozen=True, slots=True)
class _Workload:
    """`controller`: the uid of the object that controls it, "" if there is none."""

    uid: str
    controller: str


class Workloads:
    """`reflectors`: one for each kind, run by `inventory`."""

    def __init__(self, client: ApiClient, skips: Skips, clock: Callable[[], float] = time.time) -> None:
        self._by_kind = {kind: Reflector(client, _resource(kind), skips, clock) for kind in WorkloadKind}
        self.reflectors = tuple(self._by_kind.values())

    def controllers(self, kind: WorkloadKind, namespace: str, name: str) -> Collection[str] | None:
        """The uids of the controllers of its pods: its own, or those of its ReplicaSets; None if it does not exist."""
        workload = self._by_kind[kind].cache.get((namespace, name))
        if workload is None:
            return None
        if kind is not WorkloadKind.DEPLOYMENT:
            return (workload.uid,)
        replica_sets = self._by_kind[WorkloadKind.REPLICA_SET].cache.by_index(workload.uid)
        return [replica_set.uid for replica_set in replica_sets]


def _resource(kind: WorkloadKind) -> Resource[_Workload]:
    path = _PATHS[kind]
    return Resource(
        path.rpartition("/")[2],
        path,
        lambda raw, _: _Workload(text(raw, "metadata", "uid"), controller(raw)),
        index_keys=_controller_keys if kind is WorkloadKind.REPLICA_SET else None,
        metadata_only=True,
    )


def _controller_keys(workload: _Workload) -> list[Hashable]:
    return [workload.controller] if workload.controller else []
