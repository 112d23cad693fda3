"""The bench of attacks: each has a bar, one that fails is missed, and the documentation has the table of all."""

import time

import pytest

from hold.__main__ import PAGE
from hold.attack import Attack, Bar
from hold.catalog import ATTACKS
from hold.result import BEGIN, END, Result, documented, tried
from integration.apiserver import MissingProgramError

WITHIN = Bar("ms", at_most=100)


def attack(measured: float | Exception, bar: Bar = WITHIN) -> Attack:
    def measure() -> float:
        if isinstance(measured, Exception):
            raise measured
        return measured

    return Attack("a name", "1 s", bar, measure)


@pytest.mark.parametrize("declared", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_declares_what_it_did_and_a_bar(declared: Attack) -> None:
    assert declared.name
    assert declared.before
    bounds = {declared.bar.at_most, declared.bar.at_least}
    assert len([bound for bound in bounds if abs(bound) < float("inf")]) == 1
    assert declared.bar.unit
    assert "|" not in declared.name + declared.before + str(declared.bar)


def test_no_two_attacks_have_the_same_name() -> None:
    assert len({declared.name for declared in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize(
    ("measured", "bar", "expected"),
    [
        (100, WITHIN, ("100 ms", "≤ 100 ms", True)),
        (100.6, WITHIN, ("101 ms", "≤ 100 ms", False)),
        (0.04, Bar("s", at_most=2), ("0.04 s", "≤ 2 s", True)),
        (95, Bar("%", at_least=95), ("95 %", "≥ 95 %", True)),
        (94.9, Bar("%", at_least=95), ("95 %", "≥ 95 %", False)),
        (0, Bar("of 3", at_most=0), ("0 of 3", "0 of 3", True)),
        (1, Bar("of 3", at_most=0), ("1 of 3", "0 of 3", False)),
        (20_000, WITHIN, ("20,000 ms", "≤ 100 ms", False)),
        (LookupError("why"), WITHIN, ("LookupError: why", "≤ 100 ms", False)),
    ],
)
def test_a_value_is_compared_with_the_bar(
    measured: float | Exception, bar: Bar, expected: tuple[str, str, bool]
) -> None:
    result = tried(attack(measured, bar))
    assert (result.after, result.bar, result.ok) == expected


def test_an_attack_that_does_not_end_is_missed() -> None:
    endless = Attack("a name", "1 s", WITHIN, lambda: time.sleep(600) or 0.0)  # type: ignore[func-returns-value]
    assert tried(endless, limit_s=0.05) == Result(
        "a name", "1 s", "TimeoutError: no end within 0.05 s", "≤ 100 ms", ok=False
    )


def test_an_attack_that_can_not_be_tried_here_has_no_result() -> None:
    with pytest.raises(MissingProgramError):
        tried(attack(MissingProgramError("needs etcd")))


def test_results_replace_those_between_the_marks() -> None:
    result = Result("a", "b", "c", "d", ok=True)
    once = documented(f"before\n{BEGIN}\n| earlier |\n{END}\nafter\n", [result])
    assert once.startswith(f"before\n{BEGIN}\n\n| attack | before | after | bar |\n|---|")
    assert once.endswith(f"\n| a | b | c | d |\n\n{END}\nafter\n")
    assert "earlier" not in once
    assert documented(once, [result]) == once


def test_the_documentation_has_the_table_of_all_attacks() -> None:
    page = PAGE.read_text()
    table = page.partition(BEGIN)[2].partition(END)[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (declared.name, declared.before, str(declared.bar)) for declared in ATTACKS
    ]
    results = [Result(name, before, after, bar, ok=True) for name, before, after, bar in rows]
    assert documented(page, results) == page
