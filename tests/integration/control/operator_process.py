"""The operator in a separate process, which tests can observe, stop and kill."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("fake_cluster.py")

T = TypeVar("T")


def eventually(look: Callable[[], T], within_s: float = 45) -> T:
    """The result of `look` once it is true and raises no AssertionError."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            seen = look()
            if seen or time.monotonic() > deadline:
                assert seen, f"{look} never came true"
                return seen
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


class OperatorProcess:
    """Its runs do what `set_runs` says; `log` is its log since the start."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "operator.log"
        self._started = folder / "started"
        self._seen_bytes = 0

    def renew(self) -> None:
        """Reset: healthy runs, empty records and log; start the process if it does not run."""
        self.set_runs("healthy")
        if self._process is None or self._process.poll() is not None:
            self.start()
        self._started.write_text("")
        self._seen_bytes = self._log.stat().st_size

    def set_runs(self, outcome: str, takes_s: float = 0.02) -> None:
        """Set the outcome of runs from now on."""
        fresh = self._folder / "runs.new"
        fresh.write_text(json.dumps({"outcome": outcome, "takes_s": takes_s}))
        fresh.replace(self._folder / "runs.json")

    def start(
        self, kubeconfig: Path | None = None, *, ready: bool = True, max_probes: int | None = None
    ) -> None:
        """Start it and wait until it is ready. `max_probes`: per namespace."""
        self._seen_bytes = 0
        self._started.touch()
        path = os.pathsep.join((str(ROOT / "operator"), str(ROOT / "tests")))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    PROGRAM,
                    kubeconfig or self._kubeconfig,
                    self._folder,
                    str(max_probes or ""),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
            )
        if ready:
            eventually(lambda: self.get("/readyz")[0] == 200, within_s=90)

    def stop(self) -> float:
        """Send SIGTERM; returns the seconds until it logged the end. It must exit with 0."""
        assert self._process
        asked = time.time()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(30) == 0
        assert self.log[-1]["event"] == "stopped"
        return datetime.fromisoformat(self.log[-1]["timestamp"]).timestamp() - asked

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        assert self._process
        return self._process.wait(90)

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log lines since it was started or reset."""
        return self._lines(self._seen_bytes)

    @property
    def started(self) -> list[str]:
        """The names of the probes whose runs started, in order."""
        return self._started.read_text().split()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while it does not listen."""
        port = "metrics" if path == "/metrics" else "health"
        address = next((line[port] for line in self._lines(0) if line["event"] == "started"), None)
        if address is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of the only sample with (at least) these labels."""
        found = [sample.value for sample in self.samples(name) if labels.items() <= sample.labels.items()]
        assert len(found) <= 1, found
        return found[0] if found else None

    def samples(self, name: str = "") -> list[Any]:
        """All samples, or those with one name."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = [sample for family in families for sample in family.samples]
        return [sample for sample in samples if not name or sample.name == name]

    def _lines(self, skip_bytes: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_bytes()[skip_bytes:].splitlines()]
