"""Samples → medians and ratios, as a table and as `build/bench.json`. Called by `__main__`."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds, one sample of each per round."""

    by_hand_s: tuple[float, ...]
    bare_exec_s: tuple[float, ...]
    probe_run_s: tuple[float, ...]
    """By commands in containers."""
    node_run_s: tuple[float, ...]
    """By node agents."""
    operator_cpu_ms: float
    """CPU time of the operator per verdict, in total."""
    bytes_per_probe: int
    """Resident memory of the operator per probe. Target: at most 40 KiB."""

    @property
    def by_hand_over_probe(self) -> float:
        """The speedup of the probe. Target: at least 10."""
        return median(self.by_hand_s) / median(self.probe_run_s)

    @property
    def probe_over_bare_exec(self) -> float:
        """The duration of a whole run in bare execs of its curl. Target: at most 2."""
        return median(self.probe_run_s) / median(self.bare_exec_s)

    @property
    def by_hand_over_node_run(self) -> float:
        """The speedup with node agents. Target: at least 60."""
        return median(self.by_hand_s) / median(self.node_run_s)

    @property
    def node_run_over_bare_exec(self) -> float:
        """The duration of a run by node agents in bare execs of its curl. Target: at most 0.6."""
        return median(self.node_run_s) / median(self.bare_exec_s)

    def to_object(self) -> dict[str, Any]:
        """Medians and ratios with their samples; a sample of a ratio is that of one round."""
        samples = {
            "by_hand_s": self.by_hand_s,
            "bare_exec_s": self.bare_exec_s,
            "probe_run_s": self.probe_run_s,
            "node_run_s": self.node_run_s,
            "by_hand_over_probe": _ratios(self.by_hand_s, self.probe_run_s),
            "probe_over_bare_exec": _ratios(self.probe_run_s, self.bare_exec_s),
            "by_hand_over_node_run": _ratios(self.by_hand_s, self.node_run_s),
            "node_run_over_bare_exec": _ratios(self.node_run_s, self.bare_exec_s),
        }
        return {
            "by_hand_s": median(self.by_hand_s),
            "bare_exec_s": median(self.bare_exec_s),
            "probe_run_s": median(self.probe_run_s),
            "by_hand_over_probe": self.by_hand_over_probe,
            "probe_over_bare_exec": self.probe_over_bare_exec,
            "node_run_s": median(self.node_run_s),
            "by_hand_over_node_run": self.by_hand_over_node_run,
            "node_run_over_bare_exec": self.node_run_over_bare_exec,
            "operator_cpu_ms": round(self.operator_cpu_ms, 1),
            "bytes_per_probe": self.bytes_per_probe,
            "samples": {name: [round(value, 4) for value in values] for name, values in samples.items()},
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.to_object(), indent=1) + "\n")

    def table(self) -> str:
        rows = [
            ("exercises 2 to 7 by hand, with kubectl", self.by_hand_s),
            ("one bare exec of the probe's curl", self.bare_exec_s),
            ("one whole probe run, by exec", self.probe_run_s),
            ("one whole probe run, by node agents", self.node_run_s),
        ]
        lines = [f"{'':42}{'median':>10}{'fastest':>10}{'slowest':>10}"]
        for name, samples in rows:
            values = (median(samples), min(samples), max(samples))
            lines.append(f"{name:42}" + "".join(f"{value * 1000:>7.0f} ms" for value in values))
        lines += [
            "",
            f"by hand / probe        {self.by_hand_over_probe:5.1f}   (target: 10 or more)",
            f"probe / bare exec      {self.probe_over_bare_exec:5.2f}   (target: 2 or less)",
            f"by hand / node agents  {self.by_hand_over_node_run:5.1f}   (target: 60 or more)",
            f"node agents / exec     {self.node_run_over_bare_exec:5.2f}   (target: 0.6 or less, of a bare exec)",
            f"CPU of the operator    {self.operator_cpu_ms:5.1f} ms per verdict",
            f"memory per probe       {self.bytes_per_probe / 1024:5.1f} KiB (target: 40 or less)",
            f"{len(self.probe_run_s)} rounds",
        ]
        return "\n".join(lines)


def _ratios(above: tuple[float, ...], below: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a / b for a, b in zip(above, below, strict=True))
