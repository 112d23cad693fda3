"""`--windows`: transition windows that differ from the default, for tests on a real cluster.

In: the value of the option. Out: `Windows`. Called by `main`.
"""

import math
from dataclasses import replace

import click

from ..diagnose.run.windows import DEFAULT, Windows


def parsed(text: str) -> Windows:
    """Parse `NAME=SECONDS,…`; other windows keep their defaults. Raises BadParameter."""
    try:
        pairs = (pair.split("=") for pair in text.split(",") if pair)
        return replace(DEFAULT, **{name: _seconds(value) for name, value in pairs})
    except (TypeError, ValueError) as error:
        raise click.BadParameter(f"{text!r} is not NAME=SECONDS,…: {error}") from error


def _seconds(text: str) -> float:
    """What a bundle can hold, too."""
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text} is not a number of seconds")
    return seconds
