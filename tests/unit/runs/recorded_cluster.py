"""A recorded cluster that a runner can run against. Used by the tests of `runs`, `control` and the exec channels."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from datapath_probe.api.probe import Probe
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.interfaces import CaCertificates, ContainerRef
from datapath_probe.collect.source_ports import SourcePorts
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Reading, Unavailable
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.plan.plan import Plan
from datapath_probe.plan.restrictions import UNRESTRICTED, Restrictions
from datapath_probe.runs.runner import ProbeRunner
from unit.cluster import Cluster


@dataclass
class Recording:
    """Plays a recorded cluster: agents, source container and clock. `sent`: the source ports that curl was given.

    `silent`: the node whose agent does not respond, although its tools do; `mute`: the node that does not respond at
    all.
    """

    run_: PathRun
    asked: list[Fact] = field(default_factory=list)
    sent: list[tuple[str, ...]] = field(default_factory=list)
    stdins: list[bytes | None] = field(default_factory=list)
    attended: list[str] = field(default_factory=list)
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
                await asyncio.sleep(0.01)  # closing takes a moment
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
        self.attended.append(fact.node)
        await asyncio.Event().wait()  # no capture was recorded
        raise AssertionError

    def clock(self) -> float:
        return self.run_.request.started


class RecordedPort(SourcePorts):
    """The source port of the recorded run."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def take(self, pod_uid: str) -> int:
        return self._port


def inventory_of(plan: Plan) -> Cluster:
    """The cluster as in the plan."""
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
    """The recorded probe, with a pod as destination."""
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


def play(
    run: PathRun, restrictions: Restrictions = UNRESTRICTED, cas: CaCertificates | None = None
) -> tuple[Recording, ProbeRunner, Cluster]:
    recording = Recording(run)
    inventory = inventory_of(run.plan)
    answers = AnswerCache(recording, recording.clock)
    port = RecordedPort(run.request.local_port)
    made = ProbeRunner(
        inventory,
        answers,
        ExecClients(recording),
        recording.clock,
        port,
        recording,
        restrictions=restrictions,
        cas=cas,
    )
    return recording, made, inventory
