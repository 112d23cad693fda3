"""Keeps a status within the size limit of an object, or reduces it to the essential. Called by `publish` and `kube`.

etcd and every watcher carry each byte. `status` clips single values, but 32 paths of 32 hops with all their evidence
still add up to megabytes.
"""

import json
from collections.abc import Mapping

from .model import ApiModel
from .status.hop_result import HopEvidence
from .status.path_result import PathResult
from .status.probe_status import ProbeStatus
from .vocabulary import HopVerdict

SIZE_LIMIT_BYTES = 256 * 1024
ESSENTIAL = ("observedGeneration", "verdict", "reason", "conditions")


def essential(status: Mapping[str, object]) -> dict[str, object]:
    """What every version of the schema has, for an API server that refuses the rest of a status."""
    return {name: status[name] for name in ESSENTIAL if name in status}


def fitted(status: ProbeStatus, limit_bytes: int = SIZE_LIMIT_BYTES) -> ProbeStatus:
    """The status, without the least useful details until its JSON fits.

    Removed in this order: captured packets, the evidence of hops that are Ok, all evidence, the hops, failed runs and
    earlier outages, whole paths; each from the last path (the least bad) to the first. Verdict, conditions, counters,
    history and the last outage always stay."""
    if status.capture and _size_bytes(status) > limit_bytes:
        capture = status.capture
        omitted = capture.omitted_packets + len(capture.packets)
        shorter = capture.model_copy(update={"packets": (), "omitted_packets": omitted})
        status = status.model_copy(update={"capture": shorter})
    paths = list(status.paths)
    sizes = [_size_bytes(path) for path in paths]
    budget = limit_bytes - _size_bytes(_with_paths(status, []))
    for shorten in (_without_good_evidence, _without_evidence, _without_hops):
        for position in reversed(range(len(paths))):
            if sum(sizes) > budget:
                paths[position] = shorten(paths[position])
                sizes[position] = _size_bytes(paths[position])
    if sum(sizes) > budget:
        status = status.model_copy(update={"failures": (), "outages": status.outages[:1]})
        budget = limit_bytes - _size_bytes(_with_paths(status, []))
    while paths and sum(sizes) > budget:
        paths.pop()
        sizes.pop()
    return _with_paths(status, paths)


def _size_bytes(part: ApiModel) -> int:
    separator = 2
    return len(json.dumps(part.model_dump(mode="json", exclude_none=True))) + separator


def _with_paths(status: ProbeStatus, paths: list[PathResult]) -> ProbeStatus:
    return status.model_copy(update={"paths": tuple(paths)})


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
    return path.model_copy(update={"hops": (), "assumptions": ()})
