"""Commands become readings over several batches, with a fake shell."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.kube.exec.failure import channel_lost
from datapath_probe.kube.exec.framing import Batch, Cut, Reply, Result
from datapath_probe.kube.exec.query import Query
from datapath_probe.tools.command import Command

LIMIT = 1000
NOW = 1_700_000_000.0
LOOKUP = Command("node1", ("bpftool", "-j", "map", "lookup", "pinned", "/a/map", "key", "hex"))


@dataclass(frozen=True)
class Behavior:
    """How a command behaves: bytes it prints, seconds it takes, whether it takes the batch with it."""

    prints: int = 10
    takes_s: float = 0.0
    kills: bool = False
    exit_code: int = 0


FINE = Behavior()
CHATTY = Behavior(prints=LIMIT + 1)
HANGING = Behavior(takes_s=1e9)
DEADLY = Behavior(kills=True)
MISSING = Behavior(exit_code=127)
REASONS = {
    CHATTY: EvidenceError.TRUNCATED,
    HANGING: EvidenceError.TIMEOUT,
    DEADLY: EvidenceError.COMMAND_FAILED,
    MISSING: EvidenceError.NO_SUCH_EXECUTABLE,
}


def command(number: int, timeout_s: float = 5.0) -> Command:
    return Command("node1", (f"command-{number}",), timeout_s)


def run(batch: Batch, behaviors: list[Behavior]) -> Reply:
    """What the real shell would answer (tests/unit/kube/exec/test_framing.py shows that it does)."""
    results: list[Result] = []
    printed, elapsed_s = 0, 0.0
    for asked in batch.commands:
        behavior = behaviors[int(asked.argv[0].removeprefix("command-"))]
        printed += behavior.prints
        if printed > batch.reply_limit:
            fitting = min(len(results), len(batch.commands) - 1)
            return Reply((), Cut(EvidenceError.TRUNCATED, "full", fitting=fitting))
        if behavior.kills:
            return Reply(tuple(results), Cut(EvidenceError.COMMAND_FAILED, "cut off"))
        if elapsed_s + behavior.takes_s > batch.limit_s:
            return Reply(tuple(results), Cut(EvidenceError.TIMEOUT, "killed", batch.limit_s - elapsed_s))
        elapsed_s += behavior.takes_s
        results.append(Result(behavior.exit_code, asked.argv[0].encode(), b"", 0.0, behavior.takes_s))
    return Reply(tuple(results), None)


def ask(behaviors: list[Behavior], timeout_s: float = 5.0) -> tuple[list[Answer | Unavailable], int]:
    """The readings, and the number of batches it took."""
    asking = Query([command(number, timeout_s) for number in range(len(behaviors))], reply_limit=LIMIT)
    batches = 0
    while batch := asking.next_batch():
        batches += 1
        assert batches <= 2 * len(behaviors) ** 2, "it comes to an end"
        asking.take(run(batch, behaviors), NOW)
    return list(asking.readings()), batches


def test_a_hanging_tool_in_a_pod_does_not_affect_other_tools_there() -> None:
    tools = ("iptables-save",), ("iptables-save", "-c"), ("ip", "route")
    words = ("nsenter", "--net=/var/run/cilium/netns/a")
    filters, again, route = (Command("node1", (*words, *tool)) for tool in tools)
    asking = Query([filters, again, route], reply_limit=LIMIT)
    assert asking.next_batch()
    asking.take(Reply((), Cut(EvidenceError.TIMEOUT, "killed", filters.timeout_s)), NOW)
    batch = asking.next_batch()
    assert batch
    assert list(batch.commands) == [route]


def test_normally_one_batch_suffices() -> None:
    readings, batches = ask([FINE] * 15)
    assert batches == 1
    assert [reading.stdout for reading in readings if isinstance(reading, Answer)] == [
        f"command-{number}".encode() for number in range(15)
    ]


def test_without_commands_nothing_is_sent() -> None:
    assert ask([]) == ([], 0)


@given(
    st.lists(
        st.sampled_from(
            [FINE, CHATTY, HANGING, DEADLY, MISSING, Behavior(prints=400), Behavior(takes_s=2.0)]
        ),
        max_size=12,
    )
)
def test_each_command_has_its_own_result(behaviors: list[Behavior]) -> None:
    readings, _ = ask(behaviors)
    for number, (behavior, reading) in enumerate(zip(behaviors, readings, strict=True)):
        if behavior in REASONS:
            assert isinstance(reading, Unavailable)
            assert reading.reason is REASONS[behavior]
            assert f"command-{number}" in reading.message
        else:
            assert isinstance(reading, Answer)
            assert reading.stdout == f"command-{number}".encode()


def test_a_hanging_command_costs_its_timeout_once() -> None:
    _, batches = ask([FINE, HANGING, FINE])
    assert batches == 2


def test_a_hanging_agent_costs_its_timeout_once_and_affects_no_other_tool() -> None:
    agent = [replace(command(number, 7.0), by_agent=True) for number in (0, 1)]
    tools = [command(2), command(3)]
    asking = Query([agent[0], tools[0], agent[1], tools[1]], reply_limit=LIMIT)
    limits: list[float] = []
    while batch := asking.next_batch():
        limits.append(batch.limit_s)
        asking.take(run(batch, [HANGING, HANGING, FINE, FINE]), NOW)
    silent, first, still_silent, second = asking.readings()
    assert limits == [6.0, 8.0]
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert silent == still_silent
    assert silent == Unavailable(
        EvidenceError.AGENT_NOT_RESPONDING,
        "the Cilium agent on node1 did not answer command-0 within 8 s",
        NOW,
    )


def test_a_hanging_tool_is_not_queried_again() -> None:
    lookups = [Command("node1", ("bpftool", "-j", "map", "lookup", str(number))) for number in range(3)]
    asking = Query([*lookups, command(3)], reply_limit=LIMIT)
    assert asking.next_batch()
    ok = Result(0, b"", b"", 0.0, 0.0)
    asking.take(Reply((ok,), Cut(EvidenceError.TIMEOUT, "killed", 6.0, shared=True)), NOW)
    assert asking.next_batch() is None
    why = Unavailable(EvidenceError.TIMEOUT, "bpftool on node1 did not answer within 6 s", NOW - 6.0)
    assert asking.readings()[:3] == (why, why, why)


def test_a_command_that_had_less_than_its_timeout_is_retried() -> None:
    readings, batches = ask([Behavior(takes_s=4.0), Behavior(takes_s=4.0)])
    assert batches == 2
    assert all(isinstance(reading, Answer) for reading in readings)


def test_an_answer_has_the_start_time_of_its_command() -> None:
    asking = Query([command(0)], reply_limit=LIMIT)
    asking.take(Reply((Result(0, b"", b"", age_s=1.5, duration_s=0.5),), None), NOW)
    assert asking.readings() == (Answer(0, b"", b"", at=NOW - 1.5, duration_s=0.5),)


def test_giving_up_keeps_earlier_answers() -> None:
    asking = Query([command(0), command(1)], reply_limit=LIMIT)
    asking.take(Reply((Result(0, b"", b"", 0.0, 0.0),), Cut(EvidenceError.COMMAND_FAILED, "cut off")), NOW)
    asking.give_up(channel_lost("gone"), NOW)
    assert asking.next_batch() is None
    assert asking.readings() == (
        Answer(0, b"", b"", NOW, 0.0),
        Unavailable(EvidenceError.CHANNEL_LOST, "gone", NOW),
    )


def test_commands_that_may_fail_come_last_in_a_batch() -> None:
    often_absent = replace(LOOKUP, argv=(*LOOKUP.argv, "01"), often_absent=True)
    present = replace(LOOKUP, argv=(*LOOKUP.argv, "02"))
    batch = Query([often_absent, present], reply_limit=LIMIT).next_batch()
    assert batch is not None
    assert batch.commands == (present, often_absent)
