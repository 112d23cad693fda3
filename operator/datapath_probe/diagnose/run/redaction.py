"""Replaces secrets in everything that is shown or saved about a request. Called by `bundle` and the checks."""

import json

_L7 = b'"l7"'
_OF_L7 = ("l7", "Summary")


def starred(text: str) -> str:
    """A star for each octet."""
    return "*" * len(text.encode())


def without_values(path: str) -> str:
    """The path with values in its query starred, and names without a value too."""
    before, mark, query = path.partition("?")
    parts = (part.partition("=") for part in query.split("&"))
    hidden = (f"{name}={starred(value)}" if equals else starred(name) for name, equals, value in parts)
    return f"{before}{mark}{'&'.join(hidden)}"


def without_l7(events: bytes) -> bytes:
    """Hubble's events without what a proxy saw of requests and responses: URL, headers, and a summary of both. No check
    reads it.
    """
    if _L7 not in events:
        return events
    return b"\n".join(_without_l7(line) if _L7 in line else line for line in events.split(b"\n"))


def _without_l7(line: bytes) -> bytes:
    """An event that can't be parsed stays one."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return b"{"
    if isinstance(event, dict) and isinstance(event.get("flow"), dict):
        event["flow"] = {name: value for name, value in event["flow"].items() if name not in _OF_L7}
    return json.dumps(event).encode()
