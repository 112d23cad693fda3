"""A pinned map counts only if the programs use it: recorded faults, with the kernel's answers about both."""

import json
from dataclasses import dataclass, replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.plan import PodFacts
from datapath_probe.sources.maps.map_keys import MAP_KEYS
from unit.diagnose.altered_runs import pinned_link
from unit.kinds import tool_of
from unit.plans import with_backends
from unit.recorded import recorded

STALE = "ipcache-entry-missing"  # and the request succeeded
FAILED = "ipcache-wrong-tunnel-endpoint"
LOST = "overlay-dropped-on-the-wire"  # and every map is right
PROGRAM, PINNED, OLD = 2880, 935, 525


@dataclass(frozen=True)
class Kernel:
    """The answers of bpftool: one program is in all tail calls, and uses these maps."""

    used: tuple[int, ...]
    pinned: int = PINNED
    of_one_name: tuple[int, ...] = (PINNED, OLD)
    has_programs: bool = True

    def answer(self, run: PathRun, fact: Fact) -> Answer:
        match fact.kind:
            case FactKind.ENDPOINT_PROGRAM_LINK | FactKind.DEVICE_PROGRAM_LINK:
                return pinned_link(run, fact)
            case kind if kind in MAP_KEYS:
                octets = [f"0x{octet:02x}" for octet in PROGRAM.to_bytes(4, "little")]
                return _printed({"value": octets})
            case FactKind.PROGRAM:
                if not self.has_programs:
                    return _printed({"error": "get by id: No such file or directory"}, exit_code=255)
                return _printed({"id": PROGRAM, "type": "sched_cls", "map_ids": [7, *self.used]})
            case FactKind.PINNED_MAP:
                return _printed({"id": self.pinned})
            case FactKind.MAPS_BY_NAME:
                assert len(fact.text("name")) <= 15
                return _printed([{"id": number} for number in self.of_one_name])
            case FactKind.ATTACHED_PROGRAMS:  # of a device that was not read when the run was recorded
                return _printed([{"xdp": [], "tc": []}])
        raise AssertionError(fact)


def _printed(shown: object, exit_code: int = 0) -> Answer:
    return Answer(exit_code, json.dumps(shown).encode(), b"", 0.0, 0.0)


def judged(name: str, kernel: Kernel, agent_age_s: float = 20.0) -> Diagnosis:
    """The diagnosis of the recorded run after all missing facts were read."""
    return diagnose(completed(recorded(name), kernel, agent_age_s))


def completed(run: PathRun, kernel: Kernel, agent_age_s: float = 20.0) -> PathRun:
    """The run, after the kernel answered all missing facts."""
    run = _with_agents(run, agent_age_s)
    while facts := list(filter(_is_read_by_bpftool, facts_of(run))):
        run = replace(run, evidence=run.evidence.adding(facts, [kernel.answer(run, q) for q in facts]))
    return run


def _is_read_by_bpftool(fact: Fact) -> bool:
    return tool_of(fact) == "bpftool" and not fact.get("namespace")


def _with_agents(run: PathRun, age_s: float) -> PathRun:
    """The agents started this long before the run, but long enough that this alone is no transition."""
    started_at = run.request.started - max(age_s, 31)

    def aged(facts: PodFacts) -> PodFacts:
        assert facts.node.agent is not None
        return replace(
            facts, node=replace(facts.node, agent=replace(facts.node.agent, started_at=started_at))
        )

    [backend] = run.plan.backends
    assert backend.pod_facts is not None
    plan = with_backends(run.plan, replace(backend, target=aged(backend.pod_facts)))
    return replace(run, plan=replace(plan, source=aged(plan.source)), plan_after=None)


@pytest.mark.parametrize("name", [STALE, FAILED])
def test_a_map_that_programs_use_counts(name: str) -> None:
    diagnosis = judged(name, Kernel(used=(PINNED,)))
    assert diagnosis.verdict is diagnose(recorded(name)).verdict
    assert diagnosis.divergence == diagnose(recorded(name)).divergence


@pytest.mark.parametrize("name", [STALE, FAILED, LOST])
def test_while_the_agent_reloads_programs_no_hop_is_named(name: str) -> None:
    diagnosis = judged(name, Kernel(used=(OLD,)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
    assert "cilium_ipcache_v2" in diagnosis.message
    assert diagnosis.divergence is None


@pytest.mark.parametrize(
    ("name", "verdict"),
    [(STALE, ProbeVerdict.DEGRADED), (FAILED, ProbeVerdict.BROKEN), (LOST, ProbeVerdict.BROKEN)],
)
def test_programs_that_are_never_reloaded_are_a_fault_of_the_maps_hop(
    name: str, verdict: ProbeVerdict
) -> None:
    diagnosis = judged(name, Kernel(used=(OLD,)), agent_age_s=600)
    assert diagnosis.verdict is verdict
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.divergence.reason) == (
        HopName.IPCACHE_LOOKUP,
        Reason.STALE_MAP_IN_USE,
    )
    [finding] = [finding for finding in diagnosis.findings if finding.hop is HopName.IPCACHE_LOOKUP]
    facts = next(iter(s.facts for w, s in finding.evidence.items() if "usedMap" in s.facts))
    assert (facts["pinnedMap"], facts["usedMap"]) == (str(PINNED), str(OLD))


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel(used=(OLD,), of_one_name=(PINNED,)),  # the programs use no map of that name
        Kernel(used=(OLD,), has_programs=False),  # gone before they could be read
    ],
)
def test_maps_that_can_not_be_compared_change_nothing(kernel: Kernel) -> None:
    assert judged(FAILED, kernel, agent_age_s=600).divergence == diagnose(recorded(FAILED)).divergence


def test_a_healthy_run_does_not_read_programs() -> None:
    assert not [q for q in facts_of(recorded("healthy-cross-node")) if q.kind is FactKind.PROGRAM]


def test_a_hop_that_reads_no_map_is_left_as_it_is() -> None:
    diagnosis = judged("source-link-down", Kernel(used=(PINNED,)))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SOURCE_INTERFACE
    assert HopVerdict.BROKEN in {finding.verdict for finding in diagnosis.findings}
