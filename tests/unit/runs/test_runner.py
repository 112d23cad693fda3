"""A whole run against a recorded cluster: what is asked when, and what becomes of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from structlog.contextvars import get_contextvars

from datapath_probe.api.probe import Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.collect.answer_cache import LASTING_S, AnswerCache
from datapath_probe.collect.capture import ADDED_S as CAPTURE_S
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.collect.source_ports import SourcePorts
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Reading, Unavailable
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.runs import path_runner
from datapath_probe.runs.path_runner import EVIDENCE_S, OVERTIME_S, SETTLE_S
from datapath_probe.runs.probe_run import PATH_MARGIN_S
from datapath_probe.runs.runner import ProbeRunner
from datapath_probe.sources.iproute2 import links
from unit.cluster import Cluster
from unit.diagnose.altered_runs import ends, with_events
from unit.kinds import entry_of, tool_of
from unit.recorded import recorded


@dataclass
class Recording:
    """Plays a recorded cluster: agents, source container and clock. `sent`: the source ports that curl was given.

    `silent`: the node whose agent does not respond, its tools do; `mute`: the one that never answers at all.
    """

    run_: PathRun
    asked: list[Fact] = field(default_factory=list)
    sent: list[tuple[str, ...]] = field(default_factory=list)
    stdins: list[bytes | None] = field(default_factory=list)
    hold: asyncio.Event | None = None
    silent: str = ""
    mute: str = ""
    sending: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        self.asked += facts
        if node == self.mute:
            await asyncio.Event().wait()
        return [self._answer(fact) for fact in facts]

    def _answer(self, fact: Fact) -> Reading:
        if delivery(fact).by_agent and fact.node == self.silent:
            return Unavailable(
                EvidenceError.AGENT_NOT_RESPONDING, f"the agent on {self.silent} does not respond"
            )
        readings = self.run_.evidence.readings.get(fact)
        if not readings:
            return Unavailable(EvidenceError.COMMAND_FAILED, "not recorded", self.run_.request.started)
        return readings[-1]

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        self.sent.append(tuple(argv))
        self.sending.set()
        self.stdins.append(stdin)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)  # hanging up takes a moment
                self.cancelled = True
                raise
        assert self.run_.request.reading is not None
        return self.run_.request.reading

    async def attend(
        self,
        target: ContainerRef,
        fact: Fact,
        *,
        started: asyncio.Event,
        stop: asyncio.Event,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        await asyncio.Event().wait()  # no capture was recorded
        raise AssertionError

    def clock(self) -> float:
        return self.run_.request.started


class RecordedPort(SourcePorts):
    """The port of the recorded run."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def take(self, pod_uid: str) -> int:
        return self._port


def inventory_of(plan: Plan) -> Cluster:
    """The cluster as the plan knew it."""
    inventory = Cluster(config=dict(plan.config))
    pods = [plan.source, *(backend.pod_facts for backend in plan.backends if backend.pod_facts)]
    for facts in pods:
        key = f"{facts.pod.namespace}/{facts.pod.name}"
        inventory.pods[key] = facts.pod
        if facts.endpoint:
            inventory.cilium_endpoints[key] = facts.endpoint
        if facts.node.node and facts.node.cilium and facts.node.agent:
            inventory.nodes[facts.node.name] = facts.node.node
            inventory.cilium_nodes[facts.node.name] = facts.node.cilium
            inventory.agents[facts.node.name] = facts.node.agent
    return inventory


def probe_of(run: PathRun, **request: object) -> Probe:
    """The probe that was recorded, a pod's."""
    target = run.plan.backends[0]
    assert target.pod_facts is not None
    pod = run.plan.source.pod
    made = Probe.from_object(
        {
            "metadata": {"name": "probe", "namespace": pod.namespace, "uid": "uid", "generation": 1},
            "spec": {
                "source": {"pod": pod.name},
                "destination": {"pod": {"name": target.pod_facts.pod.name, "port": target.port}},
                "request": {"method": "POST", "path": "/v1/request-landing", **request},
                "expect": {"bodyContains": "Ship landed"},
            },
        }
    )
    assert isinstance(made, Probe)
    return made


def play(run: PathRun) -> tuple[Recording, ProbeRunner, Cluster]:
    recording = Recording(run)
    inventory = inventory_of(run.plan)
    answers = AnswerCache(recording, recording.clock)
    port = RecordedPort(run.request.local_port)
    made = ProbeRunner(inventory, answers, recording, recording.clock, port, recording)
    return recording, made, inventory


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_runner, "SETTLE_S", 0.0)


async def test_log_lines_of_a_run_tell_the_source_s_node() -> None:
    run = recorded("healthy-cross-node")
    _, runner, _ = play(run)

    async def context_after_a_run() -> dict[str, object]:
        await runner.run(probe_of(run))
        return get_contextvars()

    context = await asyncio.create_task(context_after_a_run())
    assert context["node"] == run.plan.source.pod.node
    assert "node" not in get_contextvars(), "another run's lines have their own"


async def test_a_healthy_run_reads_once() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.verdict is ProbeVerdict.HEALTHY
    assert len(recording.sent) == 1
    assert len(set(recording.asked)) == len(recording.asked)


async def test_a_contradiction_is_read_twice_before_it_counts() -> None:
    run = recorded("ipcache-entry-missing")
    recording, runner, _ = play(run)
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.verdict is ProbeVerdict.DEGRADED
    twice = {fact for fact in recording.asked if recording.asked.count(fact) > 1}
    assert {entry_of(fact) for fact in twice} == {"cilium_ipcache_v2"}


async def test_after_a_failed_request_everything_is_read_again() -> None:
    run = recorded("endpoint-entry-missing")
    recording, runner, _ = play(run)
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.divergence is not None
    assert result.worst.divergence.hop is HopName.ENDPOINT_LOOKUP
    asked_before = {fact for fact in recording.asked if fact in run.evidence.readings}
    programmed = [fact for fact in asked_before if tool_of(fact) != "hubble"]
    assert all(recording.asked.count(fact) == 2 for fact in programmed)


async def test_packets_are_counted_while_a_request_hangs_and_when_it_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "HANGING_S", 0.0)
    run = recorded("overlay-dropped-on-the-wire")
    recording, runner, _ = play(run)
    recording.hold = asyncio.Event()
    running = asyncio.create_task(runner.run(probe_of(run)))

    devices = [links.counters(node, "cilium_vxlan") for node in ends(run)]
    while not set(devices) <= set(recording.asked):  # noqa: ASYNC110  # a recording has no event for it
        await asyncio.sleep(0)
    recording.hold.set()
    await running
    assert [recording.asked.count(device) for device in devices] == [2, 2]


async def test_a_request_that_does_not_hang_is_not_counted() -> None:
    run = recorded("endpoint-entry-missing")
    recording, runner, _ = play(run)
    await runner.run(probe_of(run))
    assert not any(fact.kind is FactKind.BPF_METRICS for fact in recording.asked)


async def test_what_a_ring_holds_back_is_asked_for_twice_more_where_no_hop_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "EVENT_PAUSE_S", 0.0)
    run = recorded("overlay-dropped-on-the-wire")
    for node in ends(run):
        run = with_events(run, node, [], moved_on=False)
    recording, runner, _ = play(run)
    await runner.run(probe_of(run))
    rings = [fact for fact in recording.asked if fact.kind is FactKind.NEWEST_FLOW]
    assert [rings.count(fact) for fact in set(rings)] == [4, 4]


async def test_a_run_that_was_asked_for_shares_nothing_with_the_run_before() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    await runner.run(probe_of(run))
    look_ups = [fact for fact in recording.asked if delivery(fact).max_age_s < LASTING_S]
    await runner.run(probe_of(run))
    shared = len(recording.asked)
    await runner.run(probe_of(run), fresh=True)
    assert set(recording.asked[shared:]) == set(look_ups)


async def test_an_object_that_changes_meanwhile_leaves_it_open() -> None:
    run = recorded("endpoint-entry-missing")
    recording, runner, inventory = play(run)
    recording.hold = asyncio.Event()
    running = asyncio.create_task(runner.run(probe_of(run)))
    await recording.sending.wait()
    key = next(key for key in inventory.pods if "deathstar" in key)
    inventory.pods[key] = replace(inventory.pods[key], uid="re-created")
    recording.hold.set()
    outcome = (await running).worst
    assert isinstance(outcome, Diagnosis)
    assert (outcome.verdict, outcome.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)


async def test_a_cut_view_of_the_cluster_leaves_it_open() -> None:
    run = recorded("endpoint-entry-missing")
    _, runner, inventory = play(run)
    inventory.stale_since = run.request.started - 60
    outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.reason is Reason.IN_TRANSITION


async def test_an_agent_that_does_not_respond_is_asked_once_and_what_else_is_known_counts() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    _, recording.silent = ends(run)
    outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.met
    assert (outcome.verdict, outcome.reason) == (ProbeVerdict.UNKNOWN, Reason.AGENT_NOT_RESPONDING)
    assert recording.silent in outcome.message
    unknown = {f.hop: f for f in outcome.findings if f.verdict is not HopVerdict.OK}
    assert all(recording.silent in finding.message for finding in unknown.values())
    assert any(f.node == recording.silent and f.hop not in unknown for f in outcome.findings)


async def test_a_fault_is_named_beside_an_agent_that_does_not_respond() -> None:
    run = recorded("ipcache-wrong-tunnel-endpoint")
    recording, runner, _ = play(run)
    _, recording.silent = ends(run)
    outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.divergence is not None
    assert (outcome.verdict, outcome.divergence.hop) == (ProbeVerdict.BROKEN, HopName.IPCACHE_LOOKUP)
    unanswered = [fact for fact in recording.asked if delivery(fact).by_agent]
    assert all(recording.asked.count(q) == 1 for q in unanswered if q.node == recording.silent)
    assert any(recording.asked.count(q) > 1 for q in unanswered if q.node != recording.silent)


async def test_a_run_ends_in_its_time_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_runner, "EVIDENCE_S", 0.5)
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    source, recording.mute = ends(run)
    async with asyncio.timeout(run.plan.request.timeout_s + 20):
        outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.met
    assert (outcome.verdict, outcome.reason) == (ProbeVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)
    assert any(f.node == source and f.verdict is HopVerdict.OK for f in outcome.findings)


@pytest.mark.looptime
async def test_a_captured_run_in_which_everything_is_late_ends_before_it_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "SETTLE_S", SETTLE_S)
    run = recorded("endpoint-entry-missing")
    recording, runner, _ = play(run)
    _, recording.mute = ends(run)
    recording.hold = asyncio.Event()
    loop, probe = asyncio.get_running_loop(), probe_of(run)
    loop.call_later(probe.spec.request.timeout_s, recording.hold.set)
    began = loop.time()
    result = await runner.run(probe, capture=True)
    assert isinstance(result.worst, Diagnosis)
    took_s = loop.time() - began - probe.spec.request.timeout_s
    assert EVIDENCE_S + CAPTURE_S <= took_s <= OVERTIME_S < PATH_MARGIN_S


async def test_a_cancelled_run_cancels_its_request() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    recording.hold = asyncio.Event()
    running = asyncio.create_task(runner.run(probe_of(run)))
    await recording.sending.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert recording.cancelled


@pytest.mark.looptime
async def test_a_run_that_does_not_end_is_cancelled_and_says_so() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    recording.hold = asyncio.Event()
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    result = await runner.run(probe_of(run, timeout="2s"))
    assert loop.time() - began == pytest.approx(2 + PATH_MARGIN_S, abs=0.1)
    assert isinstance(result.worst, CannotRun)
    assert result.worst.reason is Reason.RUN_TIMEOUT
    assert f"within {2 + PATH_MARGIN_S:g} s" in result.worst.message
    assert recording.cancelled
    assert result.bundles == ()


async def test_header_values_and_body_do_not_stand_in_the_command() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    await runner.run(probe_of(run, headers=[{"name": "X-Token", "value": "s3cret"}], body="s3cret too"))
    assert "s3cret" not in " ".join(recording.sent[0])
    assert b"s3cret" in (recording.stdins[0] or b"")


async def test_nothing_is_sent_when_there_is_no_source() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, inventory = play(run)
    inventory.pods.clear()
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, CannotRun)
    assert result.worst.reason is Reason.SOURCE_NOT_FOUND
    assert not recording.sent
    assert not recording.asked
