"""The operator's side of node agents: one bounded wait, and never a guess."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from datapath_probe.api.spec.source import Client
from datapath_probe.collect.interfaces import ContainerRef, Sender
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.kube.node_collectors import ChosenClients, PreferredAgents
from datapath_probe.nodes.address import NodeAgentAddress
from datapath_probe.nodes.client.connections import NodeAgentError
from datapath_probe.nodes.client.node_agents import NodeAgents
from datapath_probe.nodes.client.node_clients import NodeClients
from datapath_probe.nodes.wire import node_agent_pb2 as pb
from datapath_probe.sources.curl.request import CurlRequest
from unit.nodes.samples import AGENT, NODE, POD, UPTIME, request

OTHER = Fact.of(FactKind.ROUTES, NODE)
GOOD = pb.Reading(answer=pb.Answer(stdout=b"1.0 1.0\n"))
UNKNOWN_KIND = pb.Reading(unavailable=pb.Unavailable(reason="NodeAgentOutdated", message="no such kind"))
LOST = NodeAgentError("the node agent on node1 can't be reached")
FROM = Sender(ContainerRef("default", "xwing", "main", POD), NODE, Client.AUTO)


class Wire:
    """Connections that answer what a test says; `calls`: the timeouts."""

    def __init__(self, *answers: Sequence[pb.Reading] | NodeAgentError) -> None:
        self.answers = list(answers)
        self.calls: list[float] = []

    async def ask(self, agent: NodeAgentAddress, question: pb.AskRequest, timeout_s: float) -> pb.AskReply:
        self.calls.append(timeout_s)
        answer = self.answers.pop(0)
        if isinstance(answer, NodeAgentError):
            raise answer
        return pb.AskReply(readings=answer)

    async def send(self, agent: NodeAgentAddress, sent: pb.SendRequest, timeout_s: float) -> pb.Reading:
        self.calls.append(timeout_s)
        answer = self.answers.pop(0)
        if isinstance(answer, NodeAgentError):
            raise answer
        return answer[0]


class Commands:
    """The other collector."""

    def __init__(self) -> None:
        self.asked: list[Fact] = []
        self.sent: list[CurlRequest] = []

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        self.asked += facts
        return [Answer(0, b"by exec", b"", 0.0, 0.0) for _ in facts]

    async def send(self, sender: Sender, sent: CurlRequest) -> Reading:
        self.sent.append(sent)
        return Answer(0, b"by exec", b"", 0.0, 0.0)


def asking(
    wire: Wire, agent: NodeAgentAddress | None = AGENT, now: Callable[[], float] = lambda: 0.0
) -> NodeAgents:
    return NodeAgents(wire, lambda _: agent, clock=lambda: 100.0, monotonic=now)  # type: ignore[arg-type]


async def test_each_fact_has_its_reading() -> None:
    readings = await asking(Wire([GOOD, UNKNOWN_KIND])).ask(NODE, [UPTIME, OTHER])
    answer, unavailable = readings
    assert isinstance(answer, Answer)
    assert (answer.stdout, answer.source) == (b"1.0 1.0\n", "node agent: cat /proc/uptime")
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason is EvidenceError.NODE_AGENT_OUTDATED


@pytest.mark.parametrize("answers", [[], [GOOD], [GOOD] * 3])
async def test_another_number_of_readings_is_none(answers: list[pb.Reading]) -> None:
    readings = await asking(Wire(answers)).ask(NODE, [UPTIME, OTHER])
    assert all(isinstance(reading, Unavailable) for reading in readings)


async def test_what_is_no_reading_is_unavailable_for_this_fact_alone() -> None:
    odd, good = await asking(Wire([pb.Reading(), GOOD])).ask(NODE, [UPTIME, OTHER])
    assert isinstance(odd, Unavailable)
    assert odd.reason is EvidenceError.UNPARSABLE
    assert isinstance(good, Answer)


@pytest.mark.parametrize(
    ("agent", "why"), [(None, "no node agent"), (replace(AGENT, ready=False), "not ready")]
)
async def test_a_node_without_a_ready_agent_is_not_asked(agent: NodeAgentAddress | None, why: str) -> None:
    wire = Wire()
    [reading] = await asking(wire, agent).ask(NODE, [UPTIME])
    assert isinstance(reading, Unavailable)
    assert why in reading.message
    assert not wire.calls


async def test_a_silent_agent_is_asked_again_only_after_a_pause() -> None:
    now = [0.0]
    wire = Wire(LOST, [GOOD])
    agents = asking(wire, now=lambda: now[0])
    for at in (0.0, 1.0, 4.9):
        now[0] = at
        [reading] = await agents.ask(NODE, [UPTIME])
        assert isinstance(reading, Unavailable)
        assert not agents.serves(NODE)
    assert len(wire.calls) == 1
    now[0] = 5.1
    assert agents.serves(NODE)
    assert isinstance((await agents.ask(NODE, [UPTIME]))[0], Answer)


async def test_a_new_agent_is_asked_at_once() -> None:
    wire = Wire(LOST, [GOOD])
    agent = AGENT
    agents = NodeAgents(wire, lambda _: agent, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    await agents.ask(NODE, [UPTIME])
    agent = replace(AGENT, incarnation="uid/1")
    assert isinstance((await agents.ask(NODE, [UPTIME]))[0], Answer)


async def test_commands_answer_where_no_agent_does_and_that_is_counted() -> None:
    commands, fallbacks = Commands(), []
    agents = PreferredAgents(asking(Wire(LOST)), commands, lambda: fallbacks.append(1))
    [reading] = await agents.ask(NODE, [UPTIME])
    assert isinstance(reading, Answer)
    assert (reading.stdout, commands.asked, len(fallbacks)) == (b"by exec", [UPTIME], 1)


async def test_commands_answer_what_an_older_agent_does_not_know() -> None:
    commands, fallbacks = Commands(), []
    agents = PreferredAgents(asking(Wire([GOOD, UNKNOWN_KIND])), commands, lambda: fallbacks.append(1))
    by_node, by_exec = await agents.ask(NODE, [UPTIME, OTHER])
    assert isinstance(by_node, Answer)
    assert isinstance(by_exec, Answer)
    assert (by_exec.stdout, commands.asked, len(fallbacks)) == (b"by exec", [OTHER], 1)


@pytest.mark.parametrize(
    ("client", "serves", "has_exec", "by"),
    [
        (Client.AUTO, True, True, "node"),
        (Client.AUTO, False, True, "exec"),
        (Client.AUTO, False, False, "node"),
        (Client.NODE, True, True, "node"),
        (Client.NODE, False, True, "node"),
        (Client.CONTAINER, True, True, "exec"),
        (Client.CONTAINER, True, False, "nothing"),
    ],
)
async def test_a_request_is_sent_as_its_probe_wants(
    client: Client, serves: bool, has_exec: bool, by: str
) -> None:
    wire, commands = Wire([GOOD]), Commands()
    nodes = NodeClients(wire, lambda _: AGENT)  # type: ignore[arg-type]
    clients = ChosenClients(nodes, commands if has_exec else None, lambda _: serves)
    reading = await clients.send(replace(FROM, client=client), request())
    sent = {"node": len(wire.calls), "exec": len(commands.sent)}
    assert sent == {"node": int(by == "node"), "exec": int(by == "exec")}
    assert isinstance(reading, Unavailable if by == "nothing" else Answer)


async def test_a_request_that_may_have_been_sent_is_not_sent_again() -> None:
    wire, commands = Wire(LOST), Commands()
    nodes = NodeClients(wire, lambda _: AGENT)  # type: ignore[arg-type]
    reading = await ChosenClients(nodes, commands, lambda _: True).send(FROM, request())
    assert isinstance(reading, Unavailable)
    assert reading.reason is EvidenceError.NODE_AGENT_UNAVAILABLE
    assert not commands.sent
