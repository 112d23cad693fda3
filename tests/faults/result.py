"""Results: a table, `build/faults.json`, and whether the target is met. Called by `__main__`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from faults.fault import Outcome

NAMED_RIGHT = 0.95
_COLORS = {Outcome.RIGHT: "green", Outcome.HONEST: "yellow", Outcome.WRONG: "red", Outcome.UNDONE: "magenta"}


@dataclass(frozen=True, slots=True)
class Result:
    """One fault in one mode."""

    fault: str
    mode: str
    version: str
    expected: str
    got: str
    outcome: Outcome
    seconds: float


def write(results: Sequence[Result], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def line(result: Result) -> str:
    """A line of progress."""
    color = _COLORS[result.outcome]
    named = f"[{color}]{result.outcome:6}[/] {result.mode:6} {result.fault}: {result.got}"
    instead = "" if result.outcome is Outcome.RIGHT else f"\n{'':9}expected {result.expected}"
    return f"{result.seconds:6.1f} s  {named}{instead}"


def show(results: Sequence[Result], console: Console) -> None:
    """Print all results, then the counts of each mode."""
    table = Table("fault", "mode", "named", "outcome", "seconds")
    for result in results:
        color = _COLORS[result.outcome]
        table.add_row(
            result.fault, result.mode, result.got, f"[{color}]{result.outcome}", f"{result.seconds:.1f}"
        )
    console.print(table)
    for mode in dict.fromkeys(result.mode for result in results):
        of_mode = [result for result in results if result.mode == mode]
        counts = ", ".join(f"{_count(of_mode, outcome)} {outcome}" for outcome in Outcome)
        verdict = "met" if meets_target(of_mode) else "[red]missed[/]"
        console.print(f"{mode}: {len(of_mode)} faults, {counts}; the target is {verdict}")


def meets_target(results: Sequence[Result]) -> bool:
    """At least 95 % right and nothing wrong in every mode."""
    return all(
        _count(of_mode, Outcome.RIGHT) >= NAMED_RIGHT * len(of_mode) and not _count(of_mode, Outcome.WRONG)
        for mode in {result.mode for result in results}
        for of_mode in [[result for result in results if result.mode == mode]]
    )


def _count(results: Sequence[Result], outcome: Outcome) -> int:
    return sum(result.outcome is outcome for result in results)
