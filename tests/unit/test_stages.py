"""Stages of `make test`: chains run concurrently and completely, and the output of a stage is not interleaved."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import stages

MAKE = """import signal, sys, time, pathlib
stage = sys.argv[1]
print(stage, "prints", flush=True)
there = pathlib.Path("there")
if stage == "programs":
    time.sleep(0.2)
    there.touch()
if stage == "integration":
    assert there.exists()
if stage == "e2e":
    while not pathlib.Path("unit-ran").exists():
        time.sleep(0.01)
if stage == "unit":
    pathlib.Path("unit-ran").touch()
if stage == "waits":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(pathlib.Path("removed").touch()))
    pathlib.Path("waiting").touch()
    time.sleep(30)
print(stage, "ends", flush=True)
sys.exit(stage == "lint")
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A program that replaces make."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "make.py"
    program.write_text(MAKE)
    return sys.executable, str(program)


def test_every_stage_runs_and_outputs_are_not_interleaved(
    make: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chains = [["lint", "unit", "integration"], ["programs", "e2e"]]
    ended = asyncio.run(stages.run(chains, tmp_path, make))
    assert [(stage.name, stage.failed) for stage in ended] == [
        ("lint", True),
        ("unit", False),
        ("integration", False),
        ("programs", False),
        ("e2e", False),
    ]
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("·")]
    for stage in ("lint", "unit", "integration", "programs", "e2e"):
        assert lines[(at := lines.index(f"{stage} prints")) + 1] == f"{stage} ends"
        assert lines[at - 1].startswith(f"=== {stage}")
    assert "=== lint FAILED" in "\n".join(lines)


def test_a_stage_that_is_interrupted_is_waited_for(make: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        f"import asyncio, stages, pathlib; asyncio.run(stages.run([['waits']], pathlib.Path('.'), {make!r}))"
    )
    tests = str(Path(stages.__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", code], env={"PYTHONPATH": tests}, stderr=subprocess.DEVNULL
    ) as one:
        while not (tmp_path / "waiting").exists():
            assert one.poll() is None
        one.send_signal(signal.SIGTERM)
        assert one.wait(20) != 0
    assert (tmp_path / "removed").exists()
