"""`make hold`: attack the operator, and compare with what the same attacks did at commit 312a53d. Exit code 1 if a bar
is missed.

Attacks that need a real API server are skipped where its programs are missing. `--write` puts the results of the last
time into the documentation instead. Environment: HOLD_ONLY (part of a name).
"""

import logging
import os
import sys
import time

import structlog
from rich.console import Console

from hold import result
from hold.attack import Attack
from hold.catalog import ATTACKS
from hold.result import Result
from integration.apiserver import MissingProgramError
from lab.paths import CHECKOUT

RESULT = CHECKOUT / "build/hold.json"
PAGE = CHECKOUT / "docs/threat-model.md"


def attack_all(attacks: list[Attack], console: Console) -> list[Result]:
    results = []
    for attack in attacks:
        began = time.monotonic()
        try:
            one = result.tried(attack)
        except MissingProgramError as missing:
            console.print(f"skipped: {attack.name}: {missing}", markup=False)
            continue
        outcome = "ok" if one.ok else "MISSED"
        console.print(
            f"{time.monotonic() - began:6.1f} s  {outcome:6} {one.attack}: {one.after}", markup=False
        )
        results.append(one)
    return results


def document() -> None:
    results = result.read(RESULT)
    if [one.attack for one in results] != [attack.name for attack in ATTACKS]:
        sys.exit(f"{RESULT.relative_to(CHECKOUT)} does not have all attacks: run make hold")
    if missed := [one.attack for one in results if not one.ok]:
        sys.exit(f"a bar is missed: {'; '.join(missed)}")
    PAGE.write_text(result.documented(PAGE.read_text(), results))


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console, only = Console(soft_wrap=True, highlight=False), os.environ.get("HOLD_ONLY", "")
    results = attack_all([attack for attack in ATTACKS if only in attack.name], console)
    result.write(results, RESULT)
    result.show(results, console)
    console.print(f"written to {RESULT.relative_to(CHECKOUT)}")
    sys.exit(0 if all(one.ok for one in results) else 1)


if __name__ == "__main__":
    document() if sys.argv[1:] == ["--write"] else main()
