"""`--windows`: other windows of transition than the default ones, for tests on a real cluster."""

from dataclasses import replace

import click

from ..diagnose.run.windows import DEFAULT, Windows


def parsed(text: str) -> Windows:
    """The windows of `NAME=SECONDS,…`; the others stay as they are by default. Raises BadParameter."""
    try:
        pairs = (pair.split("=") for pair in text.split(",") if pair)
        return replace(DEFAULT, **{name: float(seconds) for name, seconds in pairs})
    except (TypeError, ValueError) as error:
        raise click.BadParameter(f"{text!r} is not NAME=SECONDS,…: {error}") from error
