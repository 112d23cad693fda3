"""The reason catalog: what each reason means and what to do next. All texts are in `advice.toml`.

Called by `publish.status` for the next step, and by `report.error_page` for docs/errors.md. A test compares it with
`api.reasons`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Advice:
    """`cause` and `evidence` are sentences; `next` is an imperative in lower case, without a full stop."""

    cause: str
    evidence: str
    next: str

    @property
    def next_sentence(self) -> str:
        """What to do next, as a sentence."""
        return f"{self.next[0].upper()}{self.next[1:]}."


@cache
def catalog() -> Mapping[str, Mapping[Reason, Advice]]:
    """The entries of all reasons, by family. Raises ValueError for an entry that is not a `Reason`."""
    families = tomllib.loads(files(__package__).joinpath("advice.toml").read_text())
    return {
        family: {Reason(reason): Advice(**entry) for reason, entry in entries.items()}
        for family, entries in families.items()
    }


@cache
def _next_steps() -> Mapping[Reason, str]:
    return {
        reason: advice.next_sentence for family in catalog().values() for reason, advice in family.items()
    }


def next_step(reason: Reason) -> str:
    """What to do next, in one sentence."""
    return _next_steps()[reason]
