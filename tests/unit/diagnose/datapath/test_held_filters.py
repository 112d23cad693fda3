"""With tc, the agent's own program is the filter with the agent's priority."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.agent import agent_config
from unit.diagnose.altered_runs import ends
from unit.diagnose.datapath.held_programs import (
    HEALTHY,
    OLD,
    TCX_IN,
    TCX_OUT,
    D,
    Shown,
    changed,
    device,
    extra,
    finding,
    printed,
    twice,
)
from unit.recorded import recorded


def by_tc(run: PathRun, attached: Fact, *programs: int) -> PathRun:
    """The run with tc filters instead: `cil_from_overlay` at the ingress, in order."""

    def change(shown: Shown) -> Shown:
        own = [
            {**one, "kind": "clsact/ingress", "id": number, "prog_id": None, "link_id": None}
            for one in shown
            if one["kind"] == TCX_IN
            for number in programs
        ]
        return [*own, *(one for one in shown if one["kind"] == TCX_OUT)]

    return changed(run, attached, change)


def filters(*programs: tuple[int, int]) -> Answer:
    """Priority and program of each filter, as `tc filter show` prints them."""
    shown: Shown = []
    for priority, number in programs:
        head = {"protocol": "all", "pref": priority, "kind": "bpf", "chain": 0}
        options = {"handle": "0x1", "bpf_name": "cil_from_overlay-cilium_vxlan", "direct-action": True}
        shown += [head, {**head, "options": {**options, "prog": {"id": number, "name": "cil_from_overlay"}}}]
    return printed(shown)


def tc_fact(run: PathRun) -> Fact:
    node = ends(run)[D]
    return Fact.of(FactKind.TC_FILTERS, node, device="cilium_vxlan", direction="ingress")


def test_a_single_tc_filter_needs_no_link() -> None:
    healthy = recorded(HEALTHY)
    run = by_tc(healthy, device(healthy, D, "cilium_vxlan"), 21)
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY
    assert tc_fact(run) not in facts_of(run)


@pytest.mark.parametrize(
    ("priority", "words"),
    [
        (2, "program 21 (cil_from_overlay) runs before the agent's own, program 22"),
        (1, "program 22 (cil_from_overlay) is attached behind the agent's own, program 21"),
    ],
)
def test_of_two_tc_filters_the_agents_own_has_its_priority(priority: int, words: str) -> None:
    healthy = recorded(HEALTHY)
    node = ends(healthy)[D]
    run = by_tc(healthy, device(healthy, D, "cilium_vxlan"), 21, 22)
    assert tc_fact(run) in facts_of(run)
    known = run.evidence.latest(agent_config.fact(node))
    assert isinstance(known, Answer)
    line = f"{agent_config.FOLDER}/bpf-filter-priority:{priority}\n".encode()
    config = replace(known, stdout=known.stdout + line)
    run = twice(run, {tc_fact(run): filters((1, 21), (2, 22)), agent_config.fact(node): config})
    verdict, reason, message = finding(diagnose(run), HopName.OVERLAY_DECAPSULATION)
    assert (verdict, reason) == (HopVerdict.STALE, Reason.FOREIGN_PROGRAM)
    assert message.startswith(words)


def test_a_tc_filter_left_behind_a_link_is_a_latent_fault() -> None:
    healthy = recorded(HEALTHY)
    left = extra(
        "clsact/ingress", "cil_from_overlay-cilium_vxlan", first=False, id=OLD, prog_id=None, link_id=None
    )
    diagnosis = diagnose(changed(healthy, device(healthy, D, "cilium_vxlan"), left))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.FOREIGN_PROGRAM)
    assert "behind the agent's own" in diagnosis.message
