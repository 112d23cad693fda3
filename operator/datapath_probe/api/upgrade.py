"""A status as an earlier version wrote it → the same status under today's names. Pure.

Called by `status` for every status that is read. ADR 20261130-api-names has the table of names. `RETIRED` is what the
CRD still lets through: the API server drops fields that are not in the schema when it reads an object, too. The first
status that is written no longer has these fields, and server-side apply removes them.
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
    ("counters", "pathChanges"): {"type": "integer"},
    ("history", "change"): {"type": "string", "maxLength": 120},
}
"""Retired fields of the status: path and schema."""


def upgraded(status: Mapping[str, Any]) -> _Json:
    """The status under today's names; one that has them already is returned as it is."""
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
    """Each under its new type, with its times; an old one beside a new one of that type is left out."""
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
    """What verdict and hop say, of an entry that does not keep it."""
    if entry.get("verdict") == "Unknown":
        return "Unknown"
    return "False" if entry.get("hop") or entry.get("verdict") == "Broken" else "True"


def _counters(counters: Mapping[str, Any], history: Sequence[_Json]) -> _Json:
    """Those of the path from the history, where a version wrote them that did not count it."""
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
    """Whether names of programs are missing: they were one string, and would look like a path change now."""
    return str(entry.get("programs", "")).endswith("…")


def _node_attachment(entry: _Json) -> _Json:
    programs = str(entry.get("programs", ""))
    return {
        "node": entry.get("node"),
        "attachMode": entry.get("attach"),
        "programs": programs.split(", ") if programs else [],
    }


def _divergent_hop(hop: Mapping[str, Any]) -> _Json:
    """What to do next was part of the message."""
    message, _, step = str(hop.get("message", "")).partition(" Next: ")
    return {**hop, "message": message, "next": step[:1].upper() + step[1:]} if step else dict(hop)
