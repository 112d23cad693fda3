"""One run of one probe: plan → request and collection side by side → diagnosis. Called by the scheduler.

Nothing is written here; the result goes to `publish`.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from structlog.contextvars import bind_contextvars

from ..api.probe import Probe
from ..collect.answer_cache import AnswerCache
from ..collect.cancellation import end
from ..collect.capture import ADDED_S as CAPTURE_S
from ..collect.capture import capturing
from ..collect.collector import MAX_ROUNDS, Collector, gather
from ..collect.interfaces import AgentContainers, ContainerRef, SourceContainers
from ..collect.source_ports import SourcePorts
from ..diagnose.engine import diagnose, questions_of
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.finding.evidence_reader import ParseCache
from ..diagnose.run.bundle import Bundle
from ..diagnose.run.run import Request, Run
from ..diagnose.run.windows import DEFAULT, Windows
from ..evidence.question import Question
from ..evidence.reading import Reading
from ..plan.endpoint_churn import destination_churn, dns_churn
from ..plan.objects import Agent, Inventory
from ..plan.plan import CannotRun, Plan
from ..plan.resolve import resolve
from ..sources import curl
from ..sources.agent.agent_config import from_config_map
from ..sources.capture import pcap
from .run_result import RunResult

# How long Cilium may take to carry a change of an object to the maps before a contradiction is believed.
SETTLE_S = 1.0
# The request is on its way before anybody thinks of questions: it takes longest.
HEAD_START_S = 0.002
# How long a good request takes at most: beyond that packets may be lost, and what counts them is read.
HANGING_S = 0.4
# How often, after which pause each, events are asked for again that a node's ring does not give away yet.
EVENT_RETRIES, EVENT_PAUSE_S = 2, 0.7
# How long evidence is collected beyond the request's own timeout; then the run is judged by what there is.
EVIDENCE_S = 20.0
# How long a run lasts beyond the request's own timeout at most, if all that it waits for is late.
OVERTIME_S = math.ceil(EVIDENCE_S + SETTLE_S + EVENT_RETRIES * EVENT_PAUSE_S + CAPTURE_S)
# What the exec itself may cost beyond curl's own timeout.
EXEC_MARGIN_S = 5.0
# How long a packet capture may last beyond the request's own timeout, and on how many nodes.
CAPTURE_MARGIN_S = 10.0
CAPTURE_NODES = 4
BODY_LIMIT_BYTES = 64 * 1024


class ProbeRunner:
    """Runs probes against a live cluster."""

    def __init__(
        self,
        inventory: Inventory,
        answers: AnswerCache,
        containers: SourceContainers,
        clock: Callable[[], float] = time.time,
        ports: SourcePorts | None = None,
        agents: AgentContainers | None = None,
        windows: Windows = DEFAULT,
    ) -> None:
        self._inventory = inventory
        self._answers = answers
        self._containers = containers
        self._clock = clock
        self._ports = ports or SourcePorts()
        self._agents = agents
        self._windows = windows

    async def run(self, probe: Probe, capture: bool = False, anew: bool = False) -> RunResult:
        """Run the probe once; `capture`: also its packets; `anew`: what other runs have just heard does not count,
        for somebody may have changed something and wants to know now. Raises nothing but CancelledError.
        """
        started = self._clock()
        if anew:
            self._answers.forget()
        plan = resolve(probe, self._inventory)
        if isinstance(plan, CannotRun):
            return RunResult(started, self._clock(), plan, None)
        bind_contextvars(node=plan.source.pod.node)  # until the run's task ends
        port = self._ports.take(plan.source.pod.uid)
        if not (capture and self._agents):
            run, diagnosis = await self._run(probe, plan, port)
        else:
            questions = _capture_questions(plan, port)
            async with capturing(self._agents, questions, _agent_containers(plan)) as captured:
                run, diagnosis = await self._run(probe, plan, port)
            run = replace(run, evidence=run.evidence.adding(questions, captured.readings))
        return RunResult(started, self._clock(), diagnosis, Bundle(run))

    async def _run(self, probe: Probe, plan: Plan, local_port: int) -> tuple[Run, Diagnosis]:
        request = Request(self._clock(), local_port, None)
        run = Run(plan, request, windows=self._windows)
        parse_cache: ParseCache = {}
        loop = asyncio.get_running_loop()
        hanging_at = loop.time() + HANGING_S
        ends_at = loop.time() + plan.request.timeout_s + EVIDENCE_S
        respondents = Collector(self._answers, _incarnations(plan), ends_at)
        sending = asyncio.create_task(self._send(plan, request.local_port))
        try:
            await asyncio.wait((sending,), timeout=HEAD_START_S)
            run = await _collect(
                run, parse_cache, respondents, rounds=1
            )  # what follows from it goes with the next
            questions_of(run, parse_cache)  # has the answers parsed while the request is under way
            await asyncio.wait((sending,), timeout=max(0.0, hanging_at - loop.time()))
            if not sending.done():
                run = await _collect(replace(run, hanging=True), parse_cache, respondents)
            reading = await sending
        finally:
            await end(sending)
        run = replace(run, request=replace(request, reading=reading), hanging=False)
        run = await _collect(run, parse_cache, respondents)
        diagnosis = diagnose(run, parse_cache)
        if not diagnosis.met or diagnosis.needs_second_look:
            run = await self._look_again(probe, run, diagnosis, respondents)
            run, diagnosis = await _await_events(run, parse_cache, respondents)
        return run, diagnosis

    async def _look_again(self, probe: Probe, run: Run, diagnosis: Diagnosis, respondents: Collector) -> Run:
        """Read a second time what is in doubt; after a failed request that is everything, for it may have changed
        between the first reading and the request. Objects are compared as well: what is in transition proves nothing.
        """
        doubted = diagnosis.confirm if diagnosis.met else frozenset(run.evidence.readings)
        repeatable = (question for question in doubted if question.repeatable)
        questions = sorted(repeatable, key=lambda question: (question.node, question.argv))
        await asyncio.sleep(SETTLE_S)
        return replace(
            run,
            evidence=await respondents.ask(run.evidence, questions, afresh=True),
            second_look=True,
            plan_after=resolve(probe, self._inventory),
            view_age_s=self._view_age_s(),
            destination_churn=destination_churn(run.plan, self._inventory),
            dns_churn=dns_churn(self._inventory),
        )

    def _view_age_s(self) -> float:
        since = self._inventory.stale_since
        return 0.0 if since is None else self._clock() - since

    async def _send(self, plan: Plan, local_port: int) -> Reading:
        """The request itself, by curl in the source container. Bounded there and here."""
        command = curl.CurlRequest(
            protocol=plan.request.protocol,
            host=plan.request.host,
            port=plan.request.port,
            method=plan.request.method,
            path=plan.request.path,
            headers=plan.request.headers,
            body=plan.request.body.encode(),
            timeout_s=plan.request.timeout_s,
            local_port=local_port,
            keep_body=plan.expect.body_contains is not None,
            over_ipv4=any(":" in ip for ip in plan.source.pod.ips),
        )
        argv, stdin = curl.argv(command)
        pod = plan.source.pod
        return await self._containers.run(
            ContainerRef(pod.namespace, pod.name, plan.container, pod.uid),
            argv,
            stdin=stdin,
            timeout_s=plan.request.timeout_s + EXEC_MARGIN_S,
            stdout_limit=BODY_LIMIT_BYTES,
        )


async def _collect(
    run: Run, parse_cache: ParseCache, respondents: Collector, rounds: int = MAX_ROUNDS
) -> Run:
    """What the checks want to know at this point of the run, in so many round trips at most."""
    evidence = await gather(
        run.evidence,
        lambda evidence: questions_of(replace(run, evidence=evidence), parse_cache),
        respondents,
        rounds,
    )
    return replace(run, evidence=evidence)


async def _await_events(run: Run, parse_cache: ParseCache, respondents: Collector) -> tuple[Run, Diagnosis]:
    """The second look's diagnosis. If it names no hop, what a ring still holds back may do so."""
    run = await _collect(run, parse_cache, respondents)
    diagnosis = diagnose(run, parse_cache)
    for _ in range(EVENT_RETRIES):
        if diagnosis.met or diagnosis.divergence or not diagnosis.events_to_reread:
            break
        await asyncio.sleep(EVENT_PAUSE_S)
        evidence = await respondents.ask(run.evidence, diagnosis.events_to_reread, afresh=True)
        run = replace(run, evidence=evidence)
        diagnosis = diagnose(run, parse_cache)
    return run, diagnosis


def _capture_questions(plan: Plan, local_port: int) -> list[Question]:
    """Captures on the source's node and on those of the first backends, for the Service's choice comes later."""
    config = from_config_map(plan.config)
    tunnel_port = config.tunnel_port if config.routing_mode == "tunnel" else None
    lasts_s = plan.request.timeout_s + CAPTURE_MARGIN_S
    clients = [address for address in sorted(plan.source.addresses) if ":" not in address]
    return [
        pcap.question(
            node.name, [IPv4Address(client) for client in clients], local_port, tunnel_port, lasts_s
        )
        for node in plan.nodes[:CAPTURE_NODES]
    ]


def _agent_containers(plan: Plan) -> dict[str, ContainerRef]:
    """The agent's container on each node of the plan that has one."""
    return {
        agent.node: ContainerRef(agent.namespace, agent.pod, agent.container, agent.incarnation)
        for agent in _agents(plan)
    }


def _incarnations(plan: Plan) -> dict[str, str]:
    """The agent on each node of the plan, so that answers of an earlier one are not reused."""
    return {agent.node: agent.incarnation for agent in _agents(plan)}


def _agents(plan: Plan) -> Iterator[Agent]:
    nameservers = plan.nameserver.backends if plan.nameserver else ()
    nodes = (*plan.nodes, *(backend.place for backend in nameservers if backend.place))
    return (node.agent for node in nodes if node.agent)
