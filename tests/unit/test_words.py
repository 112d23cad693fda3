"""The words that code and docs don't use."""

from pathlib import Path

import pytest

import words


@pytest.mark.parametrize(
    "text",
    [
        "nobody listens on the port",
        "Whoever writes the probe",
        "def _righted(run: Run) -> None:",
        "the record is written anew",
        "packets go astray",
        "a rule that swallows packets",
        "_FEIGNED_BY = {}",
        "the way that its packets take",
        "the way of a request",
        "when all stands\nstill",
        "the neighbour entry",
        "the colour, the behaviour",
        "normalised input",
    ],
)
def test_a_denied_word_is_found(text: str) -> None:
    assert list(words.found_in(text))


@pytest.mark.parametrize(
    "text",
    [
        "Source: Linux 6.18 `net/core/neighbour.c`",
        "a way to read the map",
        "the tolerance of a node",
        "a constray",
        "the neighbor's behavior",
        "still standing",
        "an analysis of the runs",
        "promised",
        "the fault `source-swallows-requests`",
        "name-resolves-to-nobody",
        "NetworkPolicy e2e/nobody",
    ],
)
def test_other_words_are_not(text: str) -> None:
    assert not list(words.found_in(text))


def test_place_word_and_remedy_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "adr").mkdir()
    (tmp_path / "adr/old.md").write_text("a decision that nobody rewrites")
    (tmp_path / "data.bin").write_text("told")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/recorded.yaml").write_text("reason: NeighbourWrong")
    (tmp_path / "words.py").write_text('"told"')
    page = tmp_path / "page.md"
    page.write_text("one\nthe neighbour\n")
    assert words.main(str(tmp_path)) == 1
    assert capsys.readouterr().out == f"{page}:2: 'neighbour' → use: neighbor\n"


def test_a_clean_file(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("the neighbor")
    assert words.main(str(tmp_path / "page.md")) == 0


def test_a_file_without_a_suffix_is_read_if_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("words: ## told")
    assert words.main(str(tmp_path)) == 0
    assert words.main(str(tmp_path / "Makefile")) == 1
