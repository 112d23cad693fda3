"""The closing line of `make test`, and its exit code."""

from pathlib import Path

import pytest

import closing_count

PASSING = '<testsuites><testsuite tests="5" failures="0" errors="0" skipped="2"/></testsuites>'
FAILING = '<testsuites><testsuite tests="4" failures="1" errors="1" skipped="0"/></testsuites>'


def test_all_sessions_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "unit.xml").write_text(PASSING)
    (tmp_path / "e2e.xml").write_text(FAILING)
    assert closing_count.main(str(tmp_path)) == 1
    assert capsys.readouterr().out == "5 passed, 2 failed, 2 skipped\n"


def test_a_stage_that_failed_without_a_failed_test_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unit.xml").write_text(PASSING)
    assert closing_count.main(str(tmp_path), "lint") == 1
    assert capsys.readouterr().out == "these stages failed: lint\n3 passed, 0 failed, 2 skipped\n"


def test_nothing_failed(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(PASSING)
    assert closing_count.main(str(tmp_path)) == 0
