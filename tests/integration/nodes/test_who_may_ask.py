"""Who a node agent answers: only the operator of its installation."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.nodes import limits
from datapath_probe.nodes.certificates.authority import Identity, Role, new_authority
from datapath_probe.nodes.client.connections import Connections, NodeAgentError
from datapath_probe.nodes.client.node_agents import NodeAgents
from datapath_probe.nodes.wire import node_agent_pb2 as pb
from datapath_probe.nodes.wire.messages import fact_message, reading_of
from integration.nodes.program import NODE, Program, connected, issued, present, running

CA, OTHER_CA = new_authority(datetime.now(UTC)), new_authority(datetime.now(UTC))
UPTIME = Fact.of(FactKind.UPTIME, NODE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node-agent")


@pytest.fixture(scope="module")
def program(folder: Path) -> Iterator[Program]:
    with running(folder, CA) as program:
        yield program


@pytest.fixture
async def agent(program: Program) -> Program:
    await program.wait_ready()
    return program


def question(**changes: object) -> pb.AskRequest:
    usual = {"protocol_version": limits.PROTOCOL_VERSION, "node": NODE, "facts": [fact_message(UPTIME)]}
    return pb.AskRequest(**(usual | changes))  # type: ignore[arg-type]


async def refusal(agent: Program, identity: Identity, request: pb.AskRequest) -> NodeAgentError:
    """Why this is not answered."""
    async with connected(identity) as connections:
        with pytest.raises(NodeAgentError) as refused:
            await connections.ask(agent.address, request, 5.0)
    return refused.value


async def test_the_operator_is_answered(agent: Program) -> None:
    async with connected(issued(CA)) as connections:
        [reading] = await NodeAgents(connections, lambda _: agent.address).ask(NODE, [UPTIME])
    assert isinstance(reading, Answer)
    assert float(reading.stdout.split()[0]) > 0


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (replace(issued(OTHER_CA), authority=CA.certificate), "can't be reached"),
        (issued(OTHER_CA), "can't be reached"),
        (issued(CA, Role.NODE), "can't be reached"),
    ],
    ids=["a stranger who knows the CA", "an installation of its own", "a node agent"],
)
async def test_a_stranger_is_not_answered(agent: Program, identity: Identity, why: str) -> None:
    assert why in str(await refusal(agent, identity, question()))


async def test_nothing_is_said_without_a_certificate(agent: Program) -> None:
    context = ssl.create_default_context(cadata=CA.certificate.decode())
    context.check_hostname = False
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.port, ssl=context)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    try:
        said = await reader.read(1)
    except (ssl.SSLError, ConnectionError):
        said = b""
    assert not said
    writer.close()


@pytest.mark.parametrize(
    ("request_", "reason", "why"),
    [
        (question(protocol_version=99), EvidenceError.NODE_AGENT_OUTDATED, "version 1 of the protocol"),
        (question(protocol_version=0), EvidenceError.NODE_AGENT_OUTDATED, "version 1 of the protocol"),
        (question(node="node2"), EvidenceError.NODE_AGENT_UNAVAILABLE, "this is node1, not node2"),
        (
            question(facts=[fact_message(UPTIME)] * (limits.FACTS_IN_A_CALL + 1)),
            EvidenceError.NODE_AGENT_UNAVAILABLE,
            "too many",
        ),
    ],
)
async def test_a_call_that_is_not_meant_for_it_is_refused(
    agent: Program, request_: pb.AskRequest, reason: EvidenceError, why: str
) -> None:
    refused = await refusal(agent, issued(CA), request_)
    assert (refused.reason, why in str(refused)) == (reason, True)


async def test_a_kind_that_it_does_not_know_is_unavailable_and_the_others_are_answered(
    agent: Program,
) -> None:
    facts = [
        pb.Fact(kind="weather"),
        fact_message(UPTIME),
        pb.Fact(kind="uptime", parameters=[pb.Parameter(name="x", number=1)]),
    ]
    async with connected(issued(CA)) as connections:
        reply = await connections.ask(agent.address, question(facts=facts), 5.0)
    unknown, known, odd = (reading_of(reading, 0.0) for reading in reply.readings)
    assert isinstance(known, Answer)
    for reading in (unknown, odd):
        assert isinstance(reading, Unavailable)
        assert reading.reason is EvidenceError.NODE_AGENT_OUTDATED


async def test_a_request_that_no_probe_could_specify_is_refused(agent: Program) -> None:
    request = pb.SendRequest(
        protocol_version=limits.PROTOCOL_VERSION, node=NODE, protocol="file", host="etc", path="/shadow"
    )
    async with connected(issued(CA)) as connections:
        with pytest.raises(NodeAgentError, match="no protocol of a probe"):
            await connections.send(agent.address, request, 5.0)


async def test_certificates_are_replaced_while_it_runs(agent: Program) -> None:
    async def is_answered(identity: Identity) -> bool:
        async with connected(identity) as connections:
            try:
                await connections.ask(agent.address, question(), 5.0)
            except NodeAgentError:
                return False
            return True

    try:
        present(agent.certificates, issued(OTHER_CA, Role.NODE))
        assert await is_answered(issued(OTHER_CA))
        assert not await is_answered(issued(CA))
    finally:
        present(agent.certificates, issued(CA, Role.NODE))
    assert await is_answered(issued(CA))


async def test_half_written_certificates_change_nothing(agent: Program) -> None:
    key = agent.certificates / "tls.key"
    content = key.read_bytes()
    key.write_bytes(b"")
    try:
        async with connected(issued(CA)) as connections:
            await connections.ask(agent.address, question(), 5.0)
    finally:
        key.write_bytes(content)


async def test_the_operator_asks_no_other_than_a_node_agent(agent: Program) -> None:
    """A certificate of the operator is not that of an agent."""
    present(agent.certificates, issued(CA, Role.OPERATOR))
    try:
        assert "can't be reached" in str(await refusal(agent, issued(CA), question()))
    finally:
        present(agent.certificates, issued(CA, Role.NODE))


async def test_without_a_certificate_the_operator_says_so(agent: Program) -> None:
    connections = Connections(lambda: None)
    with pytest.raises(NodeAgentError, match="no certificate"):
        await connections.ask(agent.address, question(), 5.0)
