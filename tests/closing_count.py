"""The end of `make test`: one line that counts the tests of all pytest sessions, and the exit code.

In: the folder of their JUnit files, then the stages that failed. Out: `N passed, N failed, N skipped` as the last line,
before it the stages that failed, if any.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree


def counts(folder: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) over all sessions; an error in a fixture is a failure."""
    documents = map(ElementTree.parse, folder.glob("*.xml"))  # pytest has just written them
    suites = [suite for document in documents for suite in document.iter("testsuite")]
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def main(folder: str, *failed_stages: str) -> int:
    passed, failed, skipped = counts(Path(folder))
    if failed_stages:
        print(f"these stages failed: {', '.join(failed_stages)}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed_stages or failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
