"""The time of a diagnosis grows no more than linearly with any of its answers."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.netfilter import iptables
from unit.diagnose.altered_runs import dropped, ends, packet, with_events
from unit.recorded import names, recorded
from unit.sources.worst_case import Make, kube_proxy, of_output

SMALL, LARGE = 64 * 1024, 256 * 1024
MOST, NOISE_S = 9.0, 0.01  # as in tests/unit/sources/test_linear.py
FILTERED = "filter-drops-inside-the-destination"
PARTS = ("list", "object", "lines", "numbered")


def taken_s(run: PathRun) -> float:
    began = time.process_time()
    diagnose(run)
    return time.process_time() - began


def assert_linear(what: str, at: Callable[[int], PathRun], sizes: tuple[int, int] = (SMALL, LARGE)) -> None:
    few, many = map(at, sizes)
    if taken_s(many) > MOST * max(taken_s(few), NOISE_S):
        few_s, many_s = (min(taken_s(run) for _ in range(2)) for run in (few, many))
        assert many_s < MOST * max(few_s, NOISE_S), what


def with_answer(run: PathRun, fact: Fact, printed: bytes) -> PathRun:
    """The run in which each answer to this fact has this output."""
    readings = run.evidence.readings
    answers = tuple(replace(r, stdout=printed) if isinstance(r, Answer) else r for r in readings[fact])
    return replace(run, evidence=Evidence({**readings, fact: answers}))


def _recorded_in() -> dict[FactKind, list[tuple[str, Fact]]]:
    """The first and the last recorded run with an answer to a fact of each kind."""
    found: dict[FactKind, list[tuple[str, Fact]]] = {}
    for name in names()[::9]:
        for fact, readings in recorded(name).evidence:
            if isinstance(readings[-1], Answer) and readings[-1].stdout:
                found[fact.kind] = [*found.get(fact.kind, [])[:1], (name, fact)]
    return found


RECORDED = _recorded_in()


@pytest.mark.parametrize("kind", RECORDED)
def test_a_long_answer_takes_linear_time(kind: FactKind) -> None:
    for name, fact in RECORDED[kind]:
        run = recorded(name)
        answer = run.evidence.latest(fact)
        assert isinstance(answer, Answer)
        longer = [(what, make) for what, make in of_output(answer.stdout) if what.startswith(PARTS)]
        for what, make in longer[:6]:

            def at(size: int, run: PathRun = run, fact: Fact = fact, make: Make = make) -> PathRun:
                return with_answer(run, fact, make(size))

            assert_linear(f"{name}, {kind}, {what}", at)


def test_many_events_take_linear_time() -> None:
    run = recorded(FILTERED)
    lines = [packet(run), packet(run, reply=True, flags="SYN ACK"), dropped(run, 133, "bpf_lxc.c")]

    def at(size: int) -> PathRun:
        return with_events(run, ends(run)[1], lines * (size // len("".join(lines))))

    assert_linear("events", at)


def test_the_rules_of_thousands_of_services_take_linear_time_and_hide_nothing() -> None:
    run = recorded(FILTERED)
    node = ends(run)[1]

    def at(services: int) -> PathRun:
        return with_answer(run, iptables.fact(node), kube_proxy(services))

    assert_linear("Services", at, (1_250, 5_000))
    assert diagnose(at(5_000)).message == diagnose(run).message
