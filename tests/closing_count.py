"""The closing line of `make test`: what all suites together counted. In: a folder of JUnit files."""

import sys
from pathlib import Path
from xml.etree import ElementTree

SUITES = ("unit", "integration", "e2e")


def main(results: Path) -> int:
    """Print "N passed, N failed, N skipped". 1 if something failed or a suite did not report."""
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    silent = [suite for suite in SUITES if not (results / f"{suite}.xml").exists()]
    for path in sorted(results.glob("*.xml")):
        for suite in ElementTree.parse(path).iter("testsuite"):  # noqa: S314  # our own pytest wrote it
            for kind in totals:
                totals[kind] += int(suite.get(kind, 0))
    failed = totals["failures"] + totals["errors"] + len(silent)
    passed = totals["tests"] - totals["failures"] - totals["errors"] - totals["skipped"]
    for suite in silent:
        print(f"{suite}: no results")
    print(f"{passed} passed, {failed} failed, {totals['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
