"""What the launcher is asked to run, and how that ended. Sent between `processes` and `launcher` as JSON.

Only the standard library is imported here and in `launcher`: it forks for every job, and what it imports costs.
"""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """A command, or a function of `netlink` with texts as arguments (`function`).

    File descriptors go with it, in this order: stdin, stdout, stderr, and those that the flags announce: of a network
    namespace to enter (`enters_network`), of a mount namespace (`enters_mounts`). `files`: what the process sees at
    these paths, which exist, instead of what the node agent sees. `unprivileged`: without any privilege. `brief`: it
    ends by itself within milliseconds.
    """

    id: int
    argv: tuple[str, ...]
    function: bool = False
    enters_network: bool = False
    enters_mounts: bool = False
    unprivileged: bool = False
    brief: bool = False
    files: tuple[tuple[str, str], ...] = ()

    @property
    def is_simple(self) -> bool:
        """Whether the command is brief, and needs no more than another network namespace."""
        return self.brief and not (self.function or self.enters_mounts or self.unprivileged or self.files)

    def encoded(self) -> bytes:
        """The job as a message."""
        return json.dumps({"run": asdict(self)}).encode()

    @classmethod
    def decoded(cls, fields: dict[str, object]) -> "Job":
        """The job of a message. The other end is our own process."""
        return cls(**{name: _frozen(value) for name, value in fields.items()})  # type: ignore[arg-type]


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
