"""`--windows`: transition windows that differ from the default, for tests on a real cluster.

In: the value of the option. Out: `Windows`. Called by `main`.
"""

from dataclasses import replace

import click

from ..diagnose.run.windows import DEFAULT, Windows


def parsed(text: str) -> Windows:
    """Parse `NAME=SECONDS,…`; other windows keep their defaults. Raises BadParameter."""
    try:
        pairs = (pair.split("=") for pair in text.split(",") if pair)
        return replace(DEFAULT, **{name: float(seconds) for name, seconds in pairs})
    except (TypeError, ValueError) as error:
        raise click.BadParameter(f"{text!r} is not NAME=SECONDS,…: {error}") from error
