"""When statuses are written: urgent ones at once, others every 30 s, until the API server has them. Simulated time."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from structlog.testing import capture_logs

from datapath_probe.api.status.document import StatusDocument
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.publish.interfaces import Gone, ProbeRef, Retry, WriteResult, Written
from datapath_probe.publish.status_writer import (
    LONGEST_PAUSE_IF_REFUSED_S,
    QUIET_S,
    SAY_AGAIN_S,
    StatusWriter,
)

pytestmark = pytest.mark.looptime

REF = ProbeRef("default", "probe", "uid")


def status(summary: str) -> StatusDocument:
    return StatusDocument.of(ProbeStatus(summary=summary))


def ref(name: str, namespace: str = "default") -> ProbeRef:
    return ProbeRef(namespace, name, f"uid-{name}")


class ApiServer:
    """Accepts statuses, or answers with the given results; `seen`: the time and status of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, object]] = []
        self.gone: list[ProbeRef] = []
        self.failed: list[Retry] = []
        self.answers: list[WriteResult | Exception] = []
        self.takes_s = 0.0
        self.under_way = 0
        self.most_under_way = 0

    async def write(self, probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
        self.seen.append((asyncio.get_running_loop().time(), status["summary"]))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.takes_s)
        self.under_way -= 1
        answer = self.answers.pop(0) if self.answers else Written()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def status_writer(server: ApiServer) -> AsyncIterator[StatusWriter]:
    status_writer = StatusWriter(server, server.gone.append, server.failed.append)
    yield status_writer
    await status_writer.close(0.1)


async def test_the_first_status_is_written_at_once(status_writer: StatusWriter, server: ApiServer) -> None:
    status_writer.put(REF, status("first"), urgent=False)
    await asyncio.sleep(1)
    assert server.seen == [(0, "first")]


async def test_a_status_whose_write_raises_is_written_at_the_next_attempt(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers.append(KeyError("unexpected"))
    status_writer.put(REF, status("first"), urgent=True)
    await asyncio.sleep(10)
    assert [seen for _, seen in server.seen] == ["first", "first"]
    assert "KeyError" in server.failed[0].reason


async def test_a_status_that_is_not_urgent_waits_for_30_s_and_only_the_newest_is_written(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    status_writer.put(REF, status("first"), urgent=True)
    for second in range(1, 65):
        await asyncio.sleep(1)
        status_writer.put(REF, status(f"at {second}"), urgent=False)
    await asyncio.sleep(QUIET_S)
    times = [at for at, _ in server.seen]
    assert times == [0, QUIET_S, 2 * QUIET_S, 3 * QUIET_S]
    assert server.seen[-1][1] == "at 64"


async def test_an_urgent_status_does_not_wait(status_writer: StatusWriter, server: ApiServer) -> None:
    status_writer.put(REF, status("first"), urgent=True)
    await asyncio.sleep(3)
    status_writer.put(REF, status("dull"), urgent=False)
    await asyncio.sleep(3)
    status_writer.put(REF, status("news"), urgent=True)
    await asyncio.sleep(3)
    assert server.seen == [(0, "first"), (6, "news")]


async def test_a_status_that_waits_for_its_time_takes_no_task(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    for each in ("first", "waiting"):
        status_writer.put(REF, status(each), urgent=False)
        await asyncio.sleep(1)
    assert len(server.seen) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await asyncio.sleep(QUIET_S)
    assert server.seen[1:] == [(QUIET_S, "waiting")]


@pytest.mark.parametrize(("urgent", "at"), [(True, 5.0), (False, 5.0 + QUIET_S)])
async def test_a_status_that_arrives_during_a_write_is_written_after_it(
    status_writer: StatusWriter, server: ApiServer, urgent: bool, at: float
) -> None:
    server.takes_s = 5.0
    status_writer.put(REF, status("first"), urgent=False)
    await asyncio.sleep(1)
    status_writer.put(REF, status("second"), urgent=urgent)
    await asyncio.sleep(60)
    assert server.seen == [(0, "first"), (at, "second")]


async def test_a_failed_write_is_retried_until_it_succeeds(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers = [Retry("no route")] * 20
    status_writer.put(REF, status("news"), urgent=True)
    await asyncio.sleep(120)
    assert len(server.seen) == 21
    assert server.seen[-1][0] < 100
    assert server.seen[-1][1] == "news"


async def test_a_refused_status_is_retried_less_often_without_end_and_logged_repeatedly(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers = [Retry("forbidden", 403, refused=True)] * 30
    with capture_logs() as logs:
        status_writer.put(REF, status("news"), urgent=True)
        await asyncio.sleep(3600)
    times = [at for at, _ in server.seen]
    assert times[-1] - times[-2] == LONGEST_PAUSE_IF_REFUSED_S
    assert len(server.seen) == 31
    assert [trouble.code for trouble in server.failed] == [403] * 30
    assert len(logs) == 1 + times[-2] // SAY_AGAIN_S
    assert {(line["probe"], line["reason"]) for line in logs} == {("default/probe", "forbidden")}


async def test_a_newer_status_replaces_one_that_could_not_be_written(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers = [Retry("no route")] * 3
    status_writer.put(REF, status("old"), urgent=True)
    await asyncio.sleep(0.1)
    status_writer.put(REF, status("new"), urgent=False)
    await asyncio.sleep(20)
    assert [summary for _, summary in server.seen] == ["old", "new", "new", "new"]


async def test_a_status_that_arrives_during_a_failed_write_replaces_the_old_one(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.takes_s, server.answers = 1, [Retry("no route")]
    status_writer.put(REF, status("old"), urgent=True)
    await asyncio.sleep(0.5)
    status_writer.put(REF, status("new"), urgent=False)
    await asyncio.sleep(20)
    assert [summary for _, summary in server.seen] == ["old", "new"]


async def test_a_deleted_probe_is_reported_and_not_written_again(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers = [Gone()]
    status_writer.put(REF, status("late"), urgent=True)
    await asyncio.sleep(60)
    assert server.gone == [REF]
    assert len(server.seen) == 1


async def test_no_status_of_a_forgotten_probe_is_written(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    status_writer.put(REF, status("first"), urgent=True)
    await asyncio.sleep(1)
    status_writer.put(REF, status("second"), urgent=False)
    status_writer.forget(REF)
    await asyncio.sleep(60)
    assert len(server.seen) == 1


async def test_many_probes_are_written_a_few_at_a_time(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.takes_s = 1
    for number in range(40):
        status_writer.put(ProbeRef("default", f"probe-{number}", str(number)), status("first"), urgent=True)
    await asyncio.sleep(6)
    assert len(server.seen) == 40
    assert server.most_under_way == 8


async def test_urgent_statuses_go_first_also_if_they_become_urgent_while_they_wait(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.takes_s = 10
    for number in range(100):
        status_writer.put(ref(f"routine-{number}"), status("routine"), urgent=False)
    await asyncio.sleep(1)
    status_writer.put(ref("new"), status("news"), urgent=True)
    status_writer.put(ref("routine-99"), status("news"), urgent=True)
    await asyncio.sleep(15)
    assert [summary for _, summary in server.seen].count("news") == 2


async def test_urgent_statuses_without_end_leave_turns_to_others(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.takes_s = 1
    status_writer.put(ref("quiet", "shop"), status("routine"), urgent=False)
    await asyncio.sleep(2)
    for second in range(60):
        for number in range(20):
            status_writer.put(ref(f"flapping-{number}"), status(f"news {second}"), urgent=True)
        status_writer.put(ref("quiet", "shop"), status(f"routine {second}"), urgent=False)
        await asyncio.sleep(1)
    assert sum(str(summary).startswith("routine") for _, summary in server.seen) >= 2


async def test_namespaces_take_turns(status_writer: StatusWriter, server: ApiServer) -> None:
    server.takes_s = 1
    for number in range(100):
        status_writer.put(ref(f"many-{number}"), status("many"), urgent=True)
    for number in range(5):
        status_writer.put(ref(f"few-{number}", "shop"), status("few"), urgent=True)
    await asyncio.sleep(3.5)
    assert [summary for _, summary in server.seen].count("few") == 5


async def test_probes_forgotten_while_they_wait_or_write_leave_their_turns_to_others(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.takes_s = 10
    for number in range(20):
        status_writer.put(ref(f"gone-{number}"), status("gone"), urgent=bool(number % 2))
    await asyncio.sleep(1)
    for number in range(20):
        status_writer.forget(ref(f"gone-{number}"))
    for number in range(8):
        status_writer.put(ref(f"here-{number}"), status("here"), urgent=False)
    await asyncio.sleep(1)
    assert [summary for _, summary in server.seen].count("here") == 8


async def test_closing_writes_the_pending_statuses(status_writer: StatusWriter, server: ApiServer) -> None:
    status_writer.put(REF, status("first"), urgent=True)
    await asyncio.sleep(1)
    status_writer.put(REF, status("waiting"), urgent=False)
    await status_writer.close(2)
    assert server.seen == [(0, "first"), (1, "waiting")]


async def test_closing_does_not_wait_for_an_api_server_that_hangs(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.takes_s = 3600
    status_writer.put(REF, status("first"), urgent=True)
    began = asyncio.get_running_loop().time()
    await status_writer.close(2)
    assert asyncio.get_running_loop().time() - began == 2


REDUCED = Written(refused=Retry("field not declared in schema", 500, refused=True, invalid=True))


async def test_a_reduced_status_is_counted_and_not_written_again(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers = [REDUCED]
    with capture_logs() as lines:
        status_writer.put(REF, status("first"), urgent=True)
        await asyncio.sleep(600)
    assert server.seen == [(0, "first")]
    assert [trouble.code for trouble in server.failed] == [500]
    assert [line["event"] for line in lines] == ["status written without details"]


async def test_the_log_repeats_after_a_while_that_statuses_are_reduced(
    status_writer: StatusWriter, server: ApiServer
) -> None:
    server.answers = [REDUCED] * 20
    with capture_logs() as lines:
        for number in range(20):
            status_writer.put(REF, status(str(number)), urgent=False)
            await asyncio.sleep(QUIET_S + 1)
    assert len(server.seen) == 20
    assert 2 <= len(lines) <= 1 + 20 * (QUIET_S + 1) / SAY_AGAIN_S
