"""A status of an earlier version → the same status under the current names. Pure.

Called by `status` for every status that is read. ADR 20261130-api-names lists the names. `RETIRED` are the fields that
the CRD still allows, because the API server drops fields that are not in the schema, also on reads. The first status
that is written no longer has these fields, and server-side apply removes them.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

_Json = dict[str, Any]

_LOAD_BALANCING = {"per packet": "PerPacket", "socket": "Socket", "none": "None"}
_CONDITIONS = {"Reachable": "ExpectationMet"}

DEPRECATED = "Deprecated: read once from the status that an earlier version wrote, then removed."
RETIRED: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    ("way",): {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "maxProperties": 16},
    ("counters", "pathChanges"): {"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1},
    ("history", "change"): {"type": "string", "maxLength": 120},
}
"""Retired fields of the status: path and schema."""


def upgraded(status: Mapping[str, Any]) -> _Json:
    """The status under the current names; one that has them already is returned as it is."""
    new = dict(status)
    new["conditions"] = _conditions(_objects(status.get("conditions")))
    new["history"] = [_history_entry(entry) for entry in _objects(status.get("history"))]
    counters = status.get("counters")
    if isinstance(counters, Mapping):
        new["counters"] = _counters(counters, new["history"])
    profile = new.pop("way", None)
    if isinstance(profile, Mapping) and "pathProfile" not in new:
        changes = counters.get("pathChanges", 0) if isinstance(counters, Mapping) else 0
        new["pathProfile"] = _path_profile(profile, changes)
    if isinstance(status.get("divergentHop"), Mapping):
        new["divergentHop"] = _divergent_hop(status["divergentHop"])
    return new


def _objects(value: object) -> list[_Json]:
    return [dict(item) for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _conditions(conditions: Sequence[_Json]) -> list[_Json]:
    """Rename the types of conditions and keep their times. If both names exist, the new one wins."""
    types = [str(condition.get("type")) for condition in conditions]
    return [
        {**condition, "type": _CONDITIONS.get(type_, type_)}
        for condition, type_ in zip(conditions, types, strict=True)
        if _CONDITIONS.get(type_) not in types
    ]


def _history_entry(entry: _Json) -> _Json:
    change = entry.pop("change", None)
    if change is not None:
        entry.setdefault("pathChange", change)
    entry.setdefault("pathHealthy", _path_was_healthy(entry))
    return entry


def _path_was_healthy(entry: _Json) -> str:
    """Infer it from verdict and hop for an entry that does not store it."""
    if entry.get("verdict") == "Unknown":
        return "Unknown"
    return "False" if entry.get("hop") or entry.get("verdict") == "Broken" else "True"


def _counters(counters: Mapping[str, Any], history: Sequence[_Json]) -> _Json:
    """Compute the counters of the path from the history if an earlier version did not count them."""
    new = {name: value for name, value in counters.items() if name != "pathChanges"}
    if not history or {"consecutivePathFailures", "consecutivePathSuccesses"} & new.keys():
        return new
    last = history[0]["pathHealthy"]
    count = sum(1 for _ in takewhile(lambda entry: entry["pathHealthy"] == last, history))
    return {
        **new,
        "consecutivePathFailures": count if last == "False" else 0,
        "consecutivePathSuccesses": count if last == "True" else 0,
    }


def _path_profile(old: Mapping[str, Any], changes: object) -> _Json:
    renamed = {
        "lastChangeTime": old.get("since"),
        "lastChange": old.get("change"),
        "changeCount": changes if isinstance(changes, int) and changes >= 0 else 0,
        "loadBalancing": _LOAD_BALANCING.get(str(old.get("loadBalancing"))),
        "nodeAttachments": [
            _node_attachment(entry) for entry in _objects(old.get("entries")) if not _is_clipped(entry)
        ],
    }
    kept = ("destination", "routing", "endpointRoutes", "sources", "backends", "backendCount")
    return {**renamed, **{name: old[name] for name in kept if name in old}}


def _is_clipped(entry: _Json) -> bool:
    """Whether names of programs were cut off: they were one string, and would now look like a path change."""
    return str(entry.get("programs", "")).endswith("…")


def _node_attachment(entry: _Json) -> _Json:
    programs = str(entry.get("programs", ""))
    return {
        "node": entry.get("node"),
        "attachMode": entry.get("attach"),
        "programs": programs.split(", ") if programs else [],
    }


def _divergent_hop(hop: Mapping[str, Any]) -> _Json:
    """Split off what to do next, which was part of the message."""
    message, _, step = str(hop.get("message", "")).partition(" Next: ")
    return {**hop, "message": message, "next": step[:1].upper() + step[1:]} if step else dict(hop)
