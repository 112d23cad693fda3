"""Lines that commands write to stderr: errors and notes. What they quote comes from files, containers and servers.

Called by the commands.
"""

import click

from ..visible import visible


class Failure(click.ClickException):
    """The command ends with exit code 1 and this message in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(_line(message))


def note(message: str) -> None:
    """Print a line."""
    click.echo(_line(message), err=True)


def _line(message: str) -> str:
    return visible(" ".join(message.split()))
