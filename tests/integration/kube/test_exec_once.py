"""One command in a source container, end to end: every outcome is a Reading."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio.config import ConfigException

from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import LEFT_OUT, Answer, Reading, Unavailable
from datapath_probe.kube.client import connect
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.exec_clients import Containers
from datapath_probe.kube.exec.one_shot import STDERR_END, STDERR_LIMIT, SourceExec
from integration.kube.exec_server import V4, ExecServer, exec_server

XWING = ContainerRef("default", "xwing", "spaceship", uid="1")


@pytest.fixture
async def server() -> AsyncIterator[ExecServer]:
    async with exec_server() as server:
        yield server


@pytest.fixture
async def client(server: ExecServer) -> AsyncIterator[ExecClient]:
    client = ExecClient(server.configuration())
    yield client
    await client.close()


async def run(
    client: ExecClient,
    *argv: str,
    stdin: bytes | None = None,
    timeout_s: float = 5.0,
    stdout_limit: int = 1000,
) -> Reading:
    containers: Containers = SourceExec(client)
    return await containers.run(XWING, argv, stdin=stdin, timeout_s=timeout_s, stdout_limit=stdout_limit)


async def answer(
    client: ExecClient, *argv: str, stdin: bytes | None = None, stdout_limit: int = 1000
) -> Answer:
    reading = await run(client, *argv, stdin=stdin, stdout_limit=stdout_limit)
    assert isinstance(reading, Answer), reading
    return reading


async def reason(client: ExecClient, *argv: str, stdin: bytes | None = None, timeout_s: float = 5.0) -> str:
    reading = await run(client, *argv, stdin=stdin, timeout_s=timeout_s)
    assert isinstance(reading, Unavailable), reading
    assert reading.message
    assert reading.at
    return reading.reason


async def test_streams_are_separate_and_have_the_exit_code(client: ExecClient) -> None:
    reading = await answer(client, "sh", "-c", "printf out; printf err >&2; exit 28")
    assert (reading.exit_code, reading.stdout, reading.stderr) == (28, b"out", b"err")
    assert not reading.truncated
    assert 0 < reading.duration_s < 5


async def test_the_command_runs_in_the_given_container(server: ExecServer, client: ExecClient) -> None:
    await answer(client, "true")
    (request,) = server.requests
    assert request.match_info == {"namespace": "default", "pod": "xwing"}
    assert request.query["container"] == "spaceship"
    assert request.query["stdin"] == "false"


async def test_authentication_and_connection_pool_are_shared(server: ExecServer) -> None:
    configuration = server.configuration()
    configuration.api_key["BearerToken"] = "Bearer a-token"
    async with connect(configuration):
        client = ExecClient(configuration)
        await answer(client, "true")
        await client.close()
        assert configuration.client_session_kwargs
        assert not configuration.client_session_kwargs["connector"].closed
    assert server.requests[0].headers["Authorization"] == "Bearer a-token"


async def test_the_process_reads_the_end_of_stdin(client: ExecClient) -> None:
    assert (await answer(client, "cat", stdin=b"a body\n\0\xff")).stdout == b"a body\n\0\xff"
    assert (await answer(client, "cat", stdin=b"")).stdout == b""


async def test_a_process_that_does_not_read_its_stdin_still_has_an_exit_code(client: ExecClient) -> None:
    assert (await answer(client, "sh", "-c", "exec <&-; exit 7", stdin=b"x" * 100_000)).exit_code == 7


async def test_arguments_arrive_unchanged(client: ExecClient) -> None:
    words = ("$(id)", "a b", "'\"", "\n", "+%2B&=;#?/", "é", "--", "@/etc/passwd", "", "http://a/%zz?b=c%20d")
    assert (await answer(client, "printf", "%s|", *words)).stdout == ("|".join(words) + "|").encode()


async def test_a_character_split_between_messages_is_complete(server: ExecServer, client: ExecClient) -> None:
    server.frame_size = 1
    assert (await answer(client, "printf", "→ ✓ é")).stdout.decode() == "→ ✓ é"


async def test_output_beyond_the_limit_is_dropped_and_marked_as_truncated(client: ExecClient) -> None:
    reading = await answer(client, "head", "-c", "15000", "/dev/zero", stdout_limit=1234)
    assert (reading.exit_code, reading.stdout, reading.truncated) == (0, bytes(1234), True)


async def test_endless_output_closes_the_connection(client: ExecClient) -> None:
    reading = await run(client, "cat", "/dev/zero", stdout_limit=1234)
    assert isinstance(reading, Unavailable)
    assert reading.reason == EvidenceError.TRUNCATED


async def test_missing_credentials_are_a_refusal(server: ExecServer) -> None:
    async def no_token(_: object) -> None:
        raise ConfigException("the helper failed")

    configuration = server.configuration()
    configuration.api_key["BearerToken"] = "Bearer expired"
    configuration.refresh_api_key_hook = no_token  # type: ignore[assignment]  # untyped: it starts as None
    client = ExecClient(configuration)
    assert await reason(client, "true") == EvidenceError.EXEC_FORBIDDEN
    await client.close()


async def test_an_exec_after_shutdown_is_a_lost_channel(client: ExecClient) -> None:
    await answer(client, "true")
    await client.close()
    assert await reason(client, "true") == EvidenceError.CHANNEL_LOST


async def test_standard_error_has_its_own_limit_and_keeps_its_end(client: ExecClient) -> None:
    reading = await answer(client, "sh", "-c", "head -c 500000 /dev/zero >&2; echo end >&2; echo ok")
    begin, _, end = reading.stderr.partition(LEFT_OUT)
    assert (reading.stdout, reading.truncated) == (b"ok\n", False)
    assert (begin, end) == (bytes(STDERR_LIMIT), bytes(STDERR_END - 4) + b"end\n")


async def test_standard_error_of_up_to_the_limit_and_the_end_is_complete(client: ExecClient) -> None:
    length = STDERR_LIMIT + STDERR_END
    reading = await answer(client, "sh", "-c", f"head -c {length} /dev/zero >&2")
    assert reading.stderr == bytes(length)


async def test_output_of_exactly_the_limit_is_not_truncated(client: ExecClient) -> None:
    assert not (await answer(client, "head", "-c", "1000", "/dev/zero", stdout_limit=1000)).truncated


async def test_v4_is_sufficient_without_stdin(server: ExecServer, client: ExecClient) -> None:
    server.protocols = (V4,)
    assert (await answer(client, "sh", "-c", "exit 3")).exit_code == 3


async def test_with_stdin_v4_is_refused_and_nothing_runs(server: ExecServer, client: ExecClient) -> None:
    server.protocols = (V4,)
    assert await reason(client, "cat", stdin=b"x") == EvidenceError.STDIN_UNSUPPORTED
    assert server.processes == []


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (401, "Unauthorized", EvidenceError.EXEC_FORBIDDEN),
        (403, 'pods "xwing" is forbidden: User "u" cannot create resource', EvidenceError.EXEC_FORBIDDEN),
        (404, 'pods "xwing" not found', EvidenceError.POD_NOT_FOUND),
        (400, "container spaceship is not valid for pod xwing", EvidenceError.CONTAINER_NOT_FOUND),
        (500, None, EvidenceError.EXEC_FAILED),
    ],
)
@pytest.mark.parametrize("stdin", [None, b"x"])
async def test_a_refusal_has_a_reason_and_the_servers_message(
    server: ExecServer,
    client: ExecClient,
    stdin: bytes | None,
    status: int,
    message: str | None,
    expected: str,
) -> None:
    server.refusal = (status, message)
    reading = await run(client, "true", stdin=stdin)
    assert isinstance(reading, Unavailable)
    assert reading.reason == expected
    assert message is None or reading.message == message


async def test_a_terminated_container_has_a_reason(server: ExecServer, client: ExecClient) -> None:
    message = 'Internal error occurred: unable to upgrade connection: container not found ("spaceship")'
    server.failure = {"status": "Failure", "reason": "InternalError", "message": message, "code": 500}
    assert await reason(client, "true") == EvidenceError.CONTAINER_NOT_FOUND


@pytest.mark.parametrize("argv", [("nothing",), ("sh", "-c", "nothing"), ("sh", "-c", "/etc/passwd")])
async def test_a_missing_program_has_a_reason(client: ExecClient, argv: tuple[str, ...]) -> None:
    assert await reason(client, *argv) == EvidenceError.NO_SUCH_EXECUTABLE


async def test_a_connection_cut_during_the_answer_is_a_lost_channel(
    server: ExecServer, client: ExecClient
) -> None:
    server.cut_after = 3
    assert await reason(client, "echo", "a long answer") == EvidenceError.CHANNEL_LOST


async def test_an_unreachable_server_is_a_lost_channel(server: ExecServer, client: ExecClient) -> None:
    await server.server.close()
    assert await reason(client, "true") == EvidenceError.CHANNEL_LOST


async def test_garbage_instead_of_a_status_is_a_failed_exec(server: ExecServer, client: ExecClient) -> None:
    server.failure = {"status": "Perhaps"}
    assert await reason(client, "true") == EvidenceError.EXEC_FAILED


async def test_a_missing_sub_protocol_is_a_failed_exec(server: ExecServer, client: ExecClient) -> None:
    server.protocols = ()
    assert await reason(client, "true") == EvidenceError.EXEC_FAILED


async def test_a_command_that_does_not_end_is_a_timeout_and_reads_the_end_of_stdin(
    server: ExecServer, client: ExecClient
) -> None:
    assert await reason(client, "sh", "-c", "cat; cat", timeout_s=0.2) == EvidenceError.TIMEOUT
    (process,) = server.processes
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_arguments_that_are_not_valid_unicode_are_rejected(client: ExecClient) -> None:
    assert await reason(client, "echo", "\udcff") == EvidenceError.EXEC_FAILED


async def test_headers_and_body_are_in_no_message_and_no_log(
    server: ExecServer, client: ExecClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    argv = ("sh", "-c", "cat >/dev/null; echo x", "-H", "Authorization: s3cret")
    readings = [await run(client, *argv, stdin=b"s3cret")]
    for server.refusal in (403, "forbidden"), (500, None), None:
        server.cut_after = 1
        readings.append(await run(client, *argv, stdin=b"s3cret"))
    server.is_mute = True
    readings.append(await run(client, *argv, stdin=b"s3cret", timeout_s=0.2))
    await server.server.close()
    readings.append(await run(client, *argv, stdin=b"s3cret"))
    assert [isinstance(reading, Unavailable) for reading in readings] == [False, True, True, True, True, True]
    logged = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert "s3cret" not in f"{readings} {logged}"


async def test_an_attended_command_signals_its_start_and_ends_on_stop(
    client: ExecClient,
) -> None:
    started, stop = asyncio.Event(), asyncio.Event()
    script = "echo ready >&2; read word; echo got $word"
    attended = asyncio.create_task(
        SourceExec(client).attend(
            XWING, ("sh", "-c", script), started=started, stop=stop, timeout_s=10, stdout_limit=100
        )
    )
    await asyncio.wait_for(started.wait(), 10)
    assert not attended.done()
    stop.set()
    reading = await attended
    assert isinstance(reading, Answer)
    assert reading.stdout == b"got stop\n"


async def test_an_attended_command_that_fails_to_start_sets_started(
    server: ExecServer, client: ExecClient
) -> None:
    server.refusal = (403, "no")
    started = asyncio.Event()
    reading = await SourceExec(client).attend(
        XWING, ("sh",), started=started, stop=asyncio.Event(), timeout_s=10, stdout_limit=100
    )
    assert isinstance(reading, Unavailable)
    assert started.is_set()
