"""Within a run, a check runs again only if it has new readings."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.context import CheckContext
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.finding.finding_cache import KnownFindings
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.path import ExpectedHop
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps.map_keys import MAP_KEYS
from unit.diagnose.altered_runs import without
from unit.recorded import names, recorded

HEALTHY, BROKEN = "healthy-cross-node", "ipcache-wrong-tunnel-endpoint"


@pytest.fixture(name="checked")
def checked_fixture(monkeypatch: pytest.MonkeyPatch) -> list[HopName]:
    """The hops whose checks ran."""
    ran: list[HopName] = []
    check: Callable[[CheckContext, ExpectedHop], Finding] = CheckContext.check

    def counted(context: CheckContext, expected: ExpectedHop) -> Finding:
        ran.append(expected.name)
        return check(context, expected)

    monkeypatch.setattr(CheckContext, "check", counted)
    return ran


def reread(run: PathRun, fact: Fact) -> PathRun:
    """The run with the same answer to this fact, given once more."""
    [*_, answer] = run.evidence.all(fact)
    assert isinstance(answer, Answer)
    return replace(run, evidence=run.evidence.adding([fact], [replace(answer, at=answer.at + 1)]))


def test_no_check_runs_again_for_what_is_known(checked: list[HopName]) -> None:
    cache, run = KnownFindings(), recorded(HEALTHY)
    first = diagnose(run, cache)
    assert len(checked) == len(first.findings)
    checked.clear()
    assert diagnose(run, cache) == first
    facts_of(run, cache)
    assert checked == []


def test_only_checks_that_look_at_a_new_reading_run_again(checked: list[HopName]) -> None:
    cache, run = KnownFindings(), recorded(HEALTHY)
    before = diagnose(run, cache)
    checked.clear()
    changed = reread(run, links.link(run.plan.source.node.name, "cilium_vxlan"))
    assert diagnose(changed, cache).findings == before.findings
    assert checked == [HopName.OVERLAY_ENCAPSULATION]


@pytest.mark.parametrize("name", names())
def test_what_is_asked_and_found_is_the_same_with_what_is_known(name: str) -> None:
    run, cache = recorded(name), KnownFindings()
    first_look = replace(run, evidence=run.evidence.first_readings(), second_look=False)
    in_flight = replace(first_look, request=replace(run.request, reading=None))
    steps = [
        replace(in_flight, evidence=Evidence()),
        in_flight,
        without(first_look, *MAP_KEYS),
        first_look,
        run,
    ]
    for step in steps:
        assert facts_of(step, cache) == facts_of(step)
        assert diagnose(step, cache) == diagnose(step)
