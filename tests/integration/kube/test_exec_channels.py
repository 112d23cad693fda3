"""Commands to an agent over command channels, end to end: real shells behind a server that can misbehave."""

import asyncio
from dataclasses import replace

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.kube.exec import agents as agents_module
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.tools.command import Command
from integration.kube.agent_cluster import AGENT, HI, Cluster, stdouts
from integration.kube.exec_server import V4


async def test_a_batch_is_one_exec_and_each_command_has_its_answer(cluster: Cluster) -> None:
    readings = await cluster.ask(HI, ("sh", "-c", "echo err >&2; exit 254"), ("nothing",), ("printf", "null"))
    assert stdouts(readings) == [b"hi\n", b"", EvidenceError.NO_SUCH_EXECUTABLE, b"null"]
    assert isinstance(readings[1], Answer)
    assert (readings[1].exit_code, readings[1].stderr) == (254, b"err\n")
    assert len(cluster.server.requests) == 1


async def test_the_shell_is_reused_for_the_next_batch(cluster: Cluster) -> None:
    for _ in range(3):
        assert stdouts(await cluster.ask(HI)) == [b"hi\n"]
    assert len(cluster.server.processes) == 1


async def test_without_commands_no_channel_is_opened(cluster: Cluster) -> None:
    assert await cluster.ask() == []
    assert cluster.server.requests == []


async def test_an_agent_has_at_most_two_channels(cluster: Cluster) -> None:
    readings = await asyncio.gather(*(cluster.ask(("echo", str(number))) for number in range(8)))
    assert [stdouts(each) for each in readings] == [[f"{number}\n".encode()] for number in range(8)]
    assert len(cluster.server.processes) == 2


async def test_v4_is_sufficient(cluster: Cluster) -> None:
    cluster.server.protocols = (V4,)
    assert stdouts(await cluster.ask(HI)) == [b"hi\n"]
    await cluster.pool.close()
    await cluster.shells_ended()


async def test_any_frame_size_is_accepted(cluster: Cluster) -> None:
    cluster.server.frame_size = 7
    assert stdouts(await cluster.ask(("printf", "→ ✓ é"), HI)) == ["→ ✓ é".encode(), b"hi\n"]


async def test_a_canceled_request_does_not_affect_the_next(cluster: Cluster) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.ask(("sh", "-c", "sleep 0.5; echo old")), 0.3)
    await cluster.shells_ended()
    assert stdouts(await cluster.ask(("echo", "new"))) == [b"new\n"]


async def test_huge_output_is_truncated_and_the_others_are_answered(cluster: Cluster) -> None:
    readings = await cluster.ask(
        HI, ("head", "-c", "50000000", "/dev/zero"), ("head", "-c", "90000", "/dev/zero"), HI
    )
    assert stdouts(readings) == [b"hi\n", EvidenceError.TRUNCATED, bytes(90_000), b"hi\n"]


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (403, 'pods "cilium-x" is forbidden', EvidenceError.EXEC_FORBIDDEN),
        (404, 'pods "cilium-x" not found', EvidenceError.POD_NOT_FOUND),
        (500, "error dialing backend: EOF", EvidenceError.EXEC_FAILED),
    ],
)
async def test_a_refusal_is_the_result_of_each_command_and_is_not_retried_immediately(
    cluster: Cluster, status: int, message: str, expected: str
) -> None:
    cluster.server.refusal = (status, message)
    assert stdouts(await cluster.ask(HI, HI)) == [expected] * 2
    assert stdouts(await cluster.ask(HI)) == [expected]
    assert len(cluster.server.requests) == 1


async def test_a_container_without_a_shell_is_no_such_executable(cluster: Cluster) -> None:
    message = 'OCI runtime exec failed: exec failed: exec: "sh": executable file not found in $PATH: unknown'
    cluster.server.failure = {"status": "Failure", "reason": "InternalError", "message": message, "code": 500}
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.NO_SUCH_EXECUTABLE]


async def test_a_missing_agent_and_an_agent_that_is_not_ready_have_reasons(cluster: Cluster) -> None:
    cluster.agent = None
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.AGENT_NOT_FOUND]
    cluster.agent = replace(AGENT, ready=False)
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.AGENT_NOT_READY]
    assert cluster.server.requests == []


async def test_an_unresponsive_agent_is_not_asked_for_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents_module, "_PAUSE_S", 60.0)
    agents = ShellAgents(cluster.pool, lambda _: cluster.agent)
    silent, _ = await cluster.ask_by_agent(agents, ("sleep", "60"))
    refused, refused_s = await cluster.ask_by_agent(agents, HI)
    assert isinstance(silent, Unavailable)
    assert isinstance(refused, Unavailable)
    assert silent.reason == EvidenceError.AGENT_NOT_RESPONDING
    assert refused.message == silent.message
    assert refused_s < 1.0
    assert isinstance((await agents.run("node1", [Command("node1", HI)]))[0], Answer), "its tools work"
    cluster.agent = replace(AGENT, incarnation="2")
    assert isinstance((await cluster.ask_by_agent(agents, HI))[0], Answer), "it was restarted"
