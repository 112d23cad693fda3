"""The result of the soak test: a table, `build/soak.json`, and whether the target is met. Called by `__main__`."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soak.history import PastRun
from soak.injection import Injection

_GROWTH = 1.25
"""Tolerated growth of the resident memory: allocator effects, not a leak."""


@dataclass(frozen=True, slots=True)
class Result:
    """`leaked`: processes that remain in agents and source pods, as "pid command line"."""

    seconds: float
    runs: Sequence[PastRun]
    injections: Sequence[Injection]
    leaked: Sequence[str]
    rss_start_mb: float
    rss_end_mb: float
    churn: Counter[str]

    @property
    def alarms(self) -> list[PastRun]:
        """Runs that no injected fault explains."""
        return [
            run
            for run in self.runs
            if run.verdict in ("Broken", "Degraded") and not any(i.explains(run) for i in self.injections)
        ]

    @property
    def false_broken(self) -> int:
        return sum(run.verdict == "Broken" for run in self.alarms)

    @property
    def missed_faults(self) -> int:
        return sum(injection.missed for injection in self.injections)

    @property
    def is_flat(self) -> bool:
        return self.rss_end_mb <= self.rss_start_mb * _GROWTH

    @property
    def meets_target(self) -> bool:
        """No false alarm, no missed fault, no leak, flat memory, and at least one run and one fault."""
        tried = bool(self.runs and self.injections)
        return tried and self.is_flat and not (self.alarms or self.missed_faults or self.leaked)

    def to_object(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds),
            "runs": len(self.runs),
            "false_broken": self.false_broken,
            "missed_faults": self.missed_faults,
            "leaked_processes": len(self.leaked),
            "rss_start_mb": round(self.rss_start_mb, 1),
            "rss_end_mb": round(self.rss_end_mb, 1),
            "false_degraded": len(self.alarms) - self.false_broken,
            "verdicts": Counter(run.verdict for run in self.runs),
            "unknown_reasons": Counter(run.reason for run in self.runs if run.verdict == "Unknown"),
            "churn": self.churn,
            "faults": [_fault(injection) for injection in self.injections],
            "false_alarms": [_alarm(run) for run in self.alarms],
            "leaked": list(self.leaked),
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.to_object(), indent=1) + "\n")

    def table(self) -> str:
        found = self.to_object()
        lines = [f"{fault['fault']:36}{fault['during']:12}{_outcome(fault)}" for fault in found["faults"]]
        lines += [f"false alarm: {alarm}" for alarm in found["false_alarms"]]
        lines += [f"leaked: {process}" for process in self.leaked]
        lines += [f"{key:18}{found[key]}" for key in found if not isinstance(found[key], list)]
        return "\n".join([*lines, f"the target is {'met' if self.meets_target else 'missed'}"])


def _fault(injection: Injection) -> dict[str, Any]:
    return {
        "fault": injection.fault.name,
        "during": injection.during,
        "began": _when(injection.began),
        "repaired": _when(injection.repaired),
        "found_s": injection.found_s,
        "healthy_s": injection.healthy_s,
        "undone": injection.undone,
        "missed": injection.missed,
    }


def _outcome(fault: dict[str, Any]) -> str:
    if fault["found_s"] is None:
        return "missed" if fault["missed"] else f"undone by the agent {fault['undone']} times"
    healthy = (
        "not Healthy afterwards" if fault["healthy_s"] is None else f"Healthy after {fault['healthy_s']} s"
    )
    return f"found after {fault['found_s']} s, {healthy}"


def _alarm(run: PastRun) -> dict[str, str]:
    where = " … ".join(run.segment) if run.segment else run.hop
    ended = _when(run.ended)
    return {"probe": run.probe, "ended": ended, "verdict": run.verdict, "hop": where, "reason": run.reason}


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
