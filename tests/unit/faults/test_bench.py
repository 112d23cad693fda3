"""The fault bench: right, honest and wrong answers, and faults that the agent repairs."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from datapath_probe.api.vocabulary import HopName
from faults.bench import TRIES, run_with_fault
from faults.fault import Answer, At, Fault, Outcome, broken, judge
from faults.inject.in_place import InPlace
from faults.result import Result, meets_target
from faults.scene import Scene

EXPECTED = broken(HopName.INGRESS_POLICY, "PolicyMapMismatch", At.DESTINATION)
SCENE = cast(Scene, SimpleNamespace(source="node2", destination="node3"))
RIGHT = Answer("Broken", "PolicyMapMismatch", "ingress-policy", "node3")


class _Agent:
    """An agent that repairs the fault during the first runs."""

    def __init__(self, undoes: int) -> None:
        self.undoes = undoes
        self.runs = 0
        self.broken = False

    def settle(self, _: float) -> None:
        assert not self.broken

    def run_now(self) -> dict[str, Any]:
        self.runs += 1
        if self.runs <= self.undoes:
            self.broken = False
        return {"verdict": "Broken" if self.broken else "Healthy"}

    @contextmanager
    def inject(self, _: Scene) -> Iterator[InPlace]:
        self.broken = True
        yield lambda: self.broken
        self.broken = False


def _run(agent: _Agent) -> tuple[dict[str, Any], bool]:
    return run_with_fault(Fault("fault", agent.inject, EXPECTED), SCENE, cast(Any, agent))


def test_a_fault_that_was_undone_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    agent = _Agent(undoes=2)
    assert _run(agent) == ({"verdict": "Broken"}, False)
    assert agent.runs == 3
    assert "".join(capsys.readouterr()).count("was undone during the run") == 2


def test_a_fault_that_is_undone_each_time_is_reported_as_undone() -> None:
    agent = _Agent(undoes=99)
    assert _run(agent) == ({"verdict": "Healthy"}, True)
    assert agent.runs == TRIES


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (RIGHT, Outcome.RIGHT),
        (Answer("Broken", "PolicyDenied", "ingress-policy", "node3"), Outcome.WRONG),
        (Answer("Broken", "PolicyMapMismatch", "ingress-policy", "node2"), Outcome.WRONG),
        (Answer("Healthy", ""), Outcome.WRONG),
        (Answer("Unknown", "AgentNotResponding"), Outcome.HONEST),
        (
            Answer("Broken", "LostInTransit", segment=("node-routing", "destination-interface")),
            Outcome.HONEST,
        ),
        (
            Answer("Broken", "LostInTransit", segment=("reply-program", "reply-delivery")),
            Outcome.WRONG,
        ),
    ],
)
def test_what_is_right_honest_or_wrong(answer: Answer, outcome: Outcome) -> None:
    assert judge(Fault("fault", _Agent(0).inject, EXPECTED), SCENE, answer) is outcome


@pytest.mark.parametrize(
    ("others", "met"),
    [
        ([Outcome.HONEST], True),
        ([Outcome.UNDONE], True),
        ([Outcome.HONEST, Outcome.UNDONE], False),
        ([Outcome.WRONG], False),
    ],
)
def test_the_target(others: list[Outcome], met: bool) -> None:
    outcomes = [Outcome.RIGHT] * 19 + others
    results = [Result("fault", "vxlan", "1.18.5", "", "", outcome, 1.0) for outcome in outcomes]
    assert meets_target(results) is met
