"""Runs that users sent because they were judged wrong: each gets the right answer since."""

import tomllib
from pathlib import Path

import pytest

from datapath_probe.cli.expected_answer import ExpectedAnswer
from datapath_probe.cli.replay import replayed

FOLDER = Path(__file__).parents[2] / "data/contributed"
EXPECTED: dict[str, str] = tomllib.loads((FOLDER / "expected.toml").read_text())


def test_every_run_has_its_answer() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in FOLDER.glob("*.json"))
    assert all(ExpectedAnswer.parse(answer).verdict for answer in EXPECTED.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_contributed_run_gets_the_right_answer(name: str) -> None:
    _, status = replayed((FOLDER / f"{name}.json").read_bytes())
    assert ExpectedAnswer.parse(EXPECTED[name]).differences(status) == []
