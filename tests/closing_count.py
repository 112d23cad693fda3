"""The end of `make test`: the slowest tests, the duration of each stage, the stages that failed, and one line with the
number of tests in all pytest sessions.

In: the folder of their JUnit files, and the stages. Out: the text, whose last line is `N passed, N failed, N skipped`,
and `, N reruns` if there were any. Called by `stages`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, parse

SLOWEST = 25
_NOT_PASSED = ("failure", "error", "skipped")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that has ended."""

    name: str
    seconds: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One pytest session. `failed`: failed tests and errors in fixtures; `tests`: (seconds, name) of each attempt."""

    stage: str
    passed: int
    failed: int
    skipped: int
    reruns: int
    tests: tuple[tuple[float, str], ...]


def read(file: Path) -> Session:
    """A session from its JUnit file."""
    suites = list(parse(file).iter("testsuite"))  # noqa: S314 (pytest has just written it)
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    cases = [case for suite in suites for case in suite.iter("testcase")]
    tests = tuple((float(case.get("time", 0)), _name(case)) for case in cases)
    passed = total - failures - errors - skipped
    return Session(file.stem, passed, failures + errors, skipped, _reruns(cases), tests)


def _name(case: Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def _reruns(cases: Sequence[Element]) -> int:
    """A repeated test has an element for each attempt; that of an attempt that does not count is empty."""
    by_test = defaultdict(list)
    for case in cases:
        by_test[_name(case)].append(any(case.find(tag) is not None for tag in _NOT_PASSED))
    return sum(tries.count(False) - (not any(tries)) for tries in by_test.values())


def text(sessions: Sequence[Session], stages: Sequence[Stage]) -> str:
    """The text to print."""
    return "\n".join(_lines(sessions, stages))


def _lines(sessions: Sequence[Session], stages: Sequence[Stage]) -> Iterator[str]:
    tests = sorted(((*test, session.stage) for session in sessions for test in session.tests), reverse=True)
    if tests:
        yield "slowest tests:"
    for seconds, name, stage in tests[:SLOWEST]:
        yield f"{seconds:7.1f} s  {stage}: {name}"
    if stages:
        yield "stages:"
    for stage_ in stages:
        yield f"{stage_.seconds:7.1f} s  {stage_.name}{'  FAILED' if stage_.failed else ''}"
    if failed := [stage.name for stage in stages if stage.failed]:
        yield f"these stages failed: {', '.join(failed)}"
    counts = {
        "passed": sum(session.passed for session in sessions),
        "failed": sum(session.failed for session in sessions),
        "skipped": sum(session.skipped for session in sessions),
    }
    reruns = sum(session.reruns for session in sessions)
    yield ", ".join(
        f"{count} {name}" for name, count in (counts | ({"reruns": reruns} if reruns else {})).items()
    )


def close(folder: Path, stages: Sequence[Stage], *, reruns_fail: bool = False) -> int:
    """Print the text. Returns the exit code: 0 if every stage succeeded and no test failed."""
    sessions = [read(file) for file in sorted(folder.glob("*.xml"))]
    print(text(sessions, stages))
    has_failed = any(stage.failed for stage in stages) or any(session.failed for session in sessions)
    return int(has_failed or (reruns_fail and any(session.reruns for session in sessions)))
