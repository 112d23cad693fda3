"""Keeps a status within what one object may weigh. Called by `publish`.

etcd and every watcher carry each byte. Single values are clipped by `status`, but 32 paths of 32 hops with
all their evidence still come to megabytes.
"""

import json
from collections.abc import Iterator

from .status import HopEvidence, PathResult, ProbeStatus
from .vocabulary import HopVerdict

SIZE_LIMIT_BYTES = 256 * 1024


def fitted(status: ProbeStatus, limit_bytes: int = SIZE_LIMIT_BYTES) -> ProbeStatus:
    """The status itself, or with the least useful details left out until it fits.

    First goes the evidence of hops that are Ok, then all evidence, then the hops, each from the last path
    (the least bad) to the first. The verdict, its reason, conditions, counters and history always stay.
    """
    for smaller in _ever_smaller(status):
        if len(json.dumps(smaller.to_object()).encode()) <= limit_bytes:
            return smaller
    return status.model_copy(update={"paths": ()})


def _ever_smaller(status: ProbeStatus) -> Iterator[ProbeStatus]:
    yield status
    paths = list(status.paths)
    for shorten in (_without_good_evidence, _without_evidence, _without_hops):
        for position in reversed(range(len(paths))):
            paths[position] = shorten(paths[position])
            yield status.model_copy(update={"paths": tuple(paths)})


def _without_good_evidence(path: PathResult) -> PathResult:
    hops = (
        hop.model_copy(update={"evidence": HopEvidence()}) if hop.verdict is HopVerdict.OK else hop
        for hop in path.hops
    )
    return path.model_copy(update={"hops": tuple(hops)})


def _without_evidence(path: PathResult) -> PathResult:
    hops = (hop.model_copy(update={"evidence": HopEvidence()}) for hop in path.hops)
    return path.model_copy(update={"hops": tuple(hops)})


def _without_hops(path: PathResult) -> PathResult:
    return path.model_copy(update={"hops": ()})
