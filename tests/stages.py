"""`make test`: runs stages, each a target of the Makefile, in concurrent chains; a failure does not stop the others.

Usage: stages.py [--reruns-fail] "STAGE STAGE …" "STAGE …". Each argument is a chain. The output of a stage is printed
at its end. Called by the Makefile; `closing_count` prints the summary.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from closing_count import Stage, close

BUILD = Path("build")
NEEDS = {"integration": "programs", "rules-test": "programs"}
"""Stages that need a stage of another chain first: for its programs, or for the package manager's lock."""


@dataclass(slots=True)
class StageRun:
    """One run of all chains, in a folder: `junit` for the results of pytest, `stages` for the output of each stage."""

    folder: Path
    make: Sequence[str]
    done: dict[str, asyncio.Event] = field(default_factory=dict)

    async def all(self, chains: Sequence[Sequence[str]]) -> list[Stage]:
        """The stages, in the order of the chains."""
        self.done = {stage: asyncio.Event() for chain in chains for stage in chain}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._chain(chain)) for chain in chains]
        return [stage for task in tasks for stage in task.result()]

    async def _chain(self, stages: Sequence[str]) -> list[Stage]:
        return [await self._stage(name) for name in stages]

    async def _stage(self, name: str) -> Stage:
        if needed := self.done.get(NEEDS.get(name, "")):
            await needed.wait()
        print(f"· {name} begins", flush=True)
        began = time.monotonic()
        log = self.folder / "stages" / f"{name}.log"
        failed = await self._make(name, log) != 0
        stage = Stage(name, time.monotonic() - began, failed)
        self.done[name].set()
        print(f"=== {name}{' FAILED' if failed else ''} ({stage.seconds:.1f} s)", flush=True)
        with log.open() as text:
            shutil.copyfileobj(text, sys.stdout)
        sys.stdout.flush()
        return stage

    async def _make(self, target: str, log: Path) -> int:
        """Run a target and return its exit code. A stage that is canceled is interrupted and waited for: it may have to
        remove a lab.
        """
        options = f"{os.environ.get('PYTEST_ADDOPTS', '')} --junitxml={self.folder / 'junit' / target}.xml"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *self.make,
                target,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTEST_ADDOPTS": options.strip()},
            )
            try:
                return await process.wait()
            except asyncio.CancelledError:
                with suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
                raise


async def run(chains: Sequence[Sequence[str]], folder: Path, make: Sequence[str]) -> list[Stage]:
    """Run the chains until they end. SIGINT and SIGTERM cancel them."""
    for kind in ("junit", "stages"):
        shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / kind).mkdir(parents=True)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await StageRun(folder, make).all(chains)


def main(*arguments: str) -> int:
    chains = [argument.split() for argument in arguments if not argument.startswith("--")]
    make = (os.environ.get("MAKE", "make"), "--no-print-directory")
    try:
        stages = asyncio.run(run(chains, BUILD, make))
    except asyncio.CancelledError:
        print("interrupted")
        return 130
    return close(BUILD / "junit", stages, reruns_fail="--reruns-fail" in arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
