"""Attacks → results: as a table, as `build/hold.json`, and as the table in the documentation. Called by `__main__`."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console
from rich.table import Table

from hold.attack import Attack
from integration.apiserver import MissingProgramError

LIMIT_S = 600.0  # the longest takes a minute; a busy machine needs more
BEGIN, END = "<!-- hold: begin -->", "<!-- hold: end -->"
_HEADER = "| attack | before | after | bar |\n|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Result:
    """`after`: the measured value, or why there is none."""

    attack: str
    before: str
    after: str
    bar: str
    ok: bool


def tried(attack: Attack, limit_s: float = LIMIT_S) -> Result:
    """Measure one attack. Whatever it does, it ends, and its failure is its own. Raises MissingProgramError."""
    try:
        with _ended_after(limit_s):
            value = attack.measure()
        after, ok = attack.bar.shown(value), attack.bar.is_met(value)
    except MissingProgramError:
        raise
    except (Exception, pytest.fail.Exception) as error:
        after, ok = f"{type(error).__name__}: {error}", False
    return Result(attack.name, attack.before, after, str(attack.bar), ok)


@contextmanager
def _ended_after(limit_s: float) -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no end within {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def show(results: Sequence[Result], console: Console) -> None:
    table = Table("attack", "before", "after", "bar")
    for one in results:
        table.add_row(one.attack, one.before, f"[{'green' if one.ok else 'red'}]{one.after}", one.bar)
    console.print(table)


def write(results: Sequence[Result], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")


def read(path: Path) -> list[Result]:
    return [Result(**one) for one in json.loads(path.read_text())]


def documented(page: str, results: Sequence[Result]) -> str:
    """The page with these results between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "\n".join(f"| {one.attack} | {one.before} | {one.after} | {one.bar} |" for one in results)
    return f"{before}{BEGIN}\n\n{_HEADER}\n{rows}\n\n{END}{after}"
