"""Durations as the API writes them ("1h30m", "250ms"), to and from seconds. Used by `api` and `publish`.

The format is the subset of Go's durations that CEL in the API server also accepts.
"""

import re

PATTERN = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"

_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(duration: str) -> float:
    """The seconds of a duration such as "1h30m". Raises ValueError if it is invalid."""
    if not re.fullmatch(PATTERN, duration):
        raise ValueError(f"{duration!r} is not a duration such as 30s, 1m30s or 250ms")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))


def duration(seconds: float) -> str:
    """A measured time for display, with three digits and at most two decimals: "7.6ms", "250ms", "1.25s"."""
    amount, unit = (seconds, "s") if seconds >= 1 else (seconds * 1000, "ms")
    digits = 3 - len(str(int(amount)))
    text = f"{amount:.{max(digits, 0)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit
