"""The end of `make test`: times, the stages that failed, the closing line, and the exit code."""

from pathlib import Path

import pytest

from closing_count import Stage, close

PASSING = '<testsuites><testsuite tests="5" failures="0" errors="0" skipped="2"/></testsuites>'
FAILING = '<testsuites><testsuite tests="4" failures="1" errors="1" skipped="0"/></testsuites>'
TRIED_AGAIN = """<testsuites><testsuite tests="3" failures="1" errors="0" skipped="0">
<testcase classname="e2e" name="heals" time="1.5"/><testcase classname="e2e" name="heals" time="0.5"/>
<testcase classname="e2e" name="fails" time="0.1"/>
<testcase classname="e2e" name="fails" time="0.1"><failure message="no"/></testcase>
<testcase classname="e2e" name="passes" time="2.5"/></testsuite></testsuites>"""
LINT = Stage("lint", 3.04, failed=True)
UNIT = Stage("unit", 60.0, failed=False)


def test_all_sessions_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "unit.xml").write_text(PASSING)
    (tmp_path / "e2e.xml").write_text(FAILING)
    assert close(tmp_path, []) == 1
    assert capsys.readouterr().out == "5 passed, 2 failed, 2 skipped\n"


def test_stages_are_timed_and_failed_ones_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unit.xml").write_text(PASSING)
    assert close(tmp_path, [LINT, UNIT]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "stages:",
        "    3.0 s  lint  FAILED",
        "   60.0 s  unit",
        "these stages failed: lint",
        "3 passed, 0 failed, 2 skipped",
    ]


def test_reruns_are_counted_and_fail_if_not_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e2e.xml").write_text(TRIED_AGAIN)
    close(tmp_path, [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["slowest tests:", "    2.5 s  e2e: e2e::passes"]
    assert lines[-1] == "2 passed, 1 failed, 0 skipped, 2 reruns"
    healed = TRIED_AGAIN.replace('<failure message="no"/>', "").replace('failures="1"', 'failures="0"')
    (tmp_path / "e2e.xml").write_text(healed)
    assert close(tmp_path, []) == 0
    assert close(tmp_path, [], reruns_fail=True) == 1


def test_nothing_failed(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(PASSING)
    assert close(tmp_path, [UNIT]) == 0
