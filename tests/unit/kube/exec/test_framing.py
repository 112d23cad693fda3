"""Batches in the real shells of this machine: exact results, whatever the commands print or do."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.kube.exec.framing import Batch, FramingError, Reply, Result
from datapath_probe.tools.command import Command

SHELLS = {"sh": ["sh"], "dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
PRESENT = [name for name, argv in SHELLS.items() if shutil.which(argv[0])]
LIMIT = 1_000_000


class Shell:
    """A shell on two pipes, like the one at the other end of a channel."""

    def __init__(self, argv: list[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)

    def run(self, *argvs: tuple[str, ...], timeout_s: float = 5.0, reply_limit: int = LIMIT) -> Reply:
        return self.run_batch(Batch(tuple(Command("n", argv, timeout_s) for argv in argvs), reply_limit))

    def run_batch(self, batch: Batch) -> Reply:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(batch.script())
        reply = b""
        while not batch.is_whole(reply):
            data = self.process.stdout.read(65536)
            assert data, "the shell is gone"
            reply += data
        return batch.decode(reply)

    def outputs(self, *argvs: tuple[str, ...]) -> list[tuple[int, bytes, bytes]]:
        reply = self.run(*argvs)
        assert reply.cut is None
        return [(result.exit_code, result.stdout, result.stderr) for result in reply.results]

    def close(self) -> int:
        self.process.communicate(timeout=5)
        return self.process.returncode


@pytest.fixture(scope="module", params=PRESENT)
def shell(request: pytest.FixtureRequest) -> Iterator[Shell]:
    shell = Shell(SHELLS[request.param])
    yield shell
    assert shell.close() == 0, "end-of-file ends the shell, whatever it ran before"


def test_each_command_has_its_output_and_exit_code(shell: Shell) -> None:
    script = "printf out; printf err >&2; exit 3"
    assert shell.outputs(("echo", "hi"), ("sh", "-c", script), ("false",), ("true",)) == [
        (0, b"hi\n", b""),
        (3, b"out", b"err"),
        (1, b"", b""),
        (0, b"", b""),
    ]


def test_an_empty_batch_checks_that_the_shell_is_alive(shell: Shell) -> None:
    assert shell.run() == Reply((), None)


def test_a_missing_program_exits_with_127(shell: Shell) -> None:
    ((exit_code, stdout, stderr),) = shell.outputs(("no-such-program", "x"))
    assert (exit_code, stdout) == (127, b"")
    assert b"no-such-program" in stderr


def test_standard_output_is_preserved_byte_for_byte(shell: Shell) -> None:
    every_byte = "".join(f"\\{byte:03o}" for byte in range(256)) + "\\n\\n"
    assert shell.outputs(("printf", every_byte))[0][1] == bytes(range(256)) + b"\n\n"


def test_standard_error_has_no_nul_bytes(shell: Shell) -> None:
    every_byte = "".join(f"\\{byte:03o}" for byte in range(256)) + "\\n\\n"
    results = shell.outputs(("sh", "-c", f"printf '{every_byte}' >&2"), ("true",))
    assert results == [(0, b"", bytes(range(1, 256)) + b"\n\n"), (0, b"", b"")]


WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
BYTES = st.binary(max_size=20).map(lambda word: word.replace(b"\0", b"").decode(errors="surrogateescape"))
HOSTILE = st.sampled_from(
    ["$(id)", "`id`", "'", '"', "\\", "\n", "-n", "--", "*", "~", "!x", "a=b", "#", "", "\r", "\x04"]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(WORD | BYTES | HOSTILE, max_size=4), min_size=1, max_size=3))
def test_arguments_are_passed_unchanged(shell: Shell, commands: list[list[str]]) -> None:
    argvs = [("printf", "%s\\n", "", *words) for words in commands]
    expected = ["".join(f"{word}\n" for word in ["", *words]) for words in commands]
    assert [stdout for _, stdout, _ in shell.outputs(*argvs)] == [
        text.encode(errors="surrogateescape") for text in expected
    ]


def test_markers_of_another_batch_are_plain_output(shell: Shell) -> None:
    forged = Batch((), LIMIT)
    text = f"{forged.nonce}s 1.0\n{forged.nonce}o 0 1.0\n{forged.nonce}r{forged.nonce}e{forged.nonce}x 1.0\n"
    assert shell.outputs(("printf", "%s", text), ("sh", "-c", 'printf %s "$0" >&2', text)) == [
        (0, text.encode(), b""),
        (0, b"", text.encode()),
    ]


def test_a_marker_without_the_nonce_is_plain_output(shell: Shell) -> None:
    assert shell.outputs(
        ("sh", "-c", "printf 'o 0 1.0\\n' >&2; printf 'x 1.0\\n'"), ("printf", "o 7 2.0\\n")
    ) == [
        (0, b"x 1.0\n", b"o 0 1.0\n"),
        (0, b"o 7 2.0\n", b""),
    ]


def test_a_process_list_cannot_forge_a_marker(shell: Shell) -> None:
    ((exit_code, stdout, _), after) = shell.outputs(("sh", "-c", "cat /proc/$PPID/cmdline"), ("echo", "x"))
    assert exit_code == 0
    assert re.search(rb"n=[0-9a-f]{32}\n", stdout)
    assert after == (0, b"x\n", b"")


@pytest.mark.parametrize(
    "argv",
    [
        ("exit", "3"),
        ("exec", "true"),
        ("cd", "/"),
        ("export", "LC_ALL=x"),
        ("set", "-e"),
        ("unset", "n"),
        ("exec",),
    ],
)
def test_a_shell_builtin_does_not_affect_other_commands(shell: Shell, argv: tuple[str, ...]) -> None:
    before, *_, after = shell.outputs(("pwd",), argv, ("false",), ("pwd",))
    assert before == after


def test_a_command_that_reads_stdin_does_not_consume_the_next_batch(shell: Shell) -> None:
    assert shell.outputs(("cat",), ("echo", "next")) == [(0, b"", b""), (0, b"next\n", b"")]
    assert shell.outputs(("echo", "again")) == [(0, b"again\n", b"")]


def test_a_long_reply_is_complete(shell: Shell) -> None:
    assert shell.outputs(("head", "-c", "900000", "/dev/zero"), ("echo", "x"))[0][1] == bytes(900_000)


def test_a_timeout_kills_the_command_with_its_children_and_keeps_earlier_results(
    shell: Shell,
) -> None:
    started = time.monotonic()
    nap = f"sleep 61.{os.getpid()}"
    hang = ("sh", "-c", f"printf partial; {nap} & {nap}")
    reply = shell.run(("echo", "first"), hang, ("echo", "never"), timeout_s=0.1)
    assert time.monotonic() - started < 20
    assert [result.stdout for result in reply.results] == [b"first\n"]
    assert reply.cut
    assert reply.cut.reason is EvidenceError.TIMEOUT
    assert 0.1 <= reply.cut.ran_s <= 20
    assert subprocess.run(["pgrep", "-f", nap], capture_output=True).stdout == b""


def test_excessive_output_reports_how_many_commands_fit(shell: Shell) -> None:
    reply = shell.run(("echo", "a"), ("echo", "b"), ("yes",), ("echo", "c"), reply_limit=10_000)
    assert reply.results == ()
    assert reply.cut
    assert (reply.cut.reason, reply.cut.fitting) == (EvidenceError.TRUNCATED, 2)
    assert shell.outputs(("echo", "again")) == [(0, b"again\n", b"")]


def test_excessive_standard_error_reports_that_fewer_commands_fit(shell: Shell) -> None:
    reply = shell.run(("true",), ("sh", "-c", "head -c 900 /dev/zero | tr '\\0' e >&2"), reply_limit=1000)
    assert reply.results == ()
    assert reply.cut
    assert (reply.cut.reason, reply.cut.fitting) == (EvidenceError.TRUNCATED, 1)


def test_excessive_standard_error_ends_the_batch(shell: Shell) -> None:
    reply = shell.run(("echo", "a"), ("sh", "-c", "yes >&2"), ("echo", "b"))
    assert [result.stdout for result in reply.results] == [b"a\n"]
    assert reply.cut
    assert reply.cut.reason is EvidenceError.TRUNCATED


def test_a_command_that_kills_its_process_group_ends_the_batch(shell: Shell) -> None:
    reply = shell.run(("echo", "a"), ("sh", "-c", "kill -KILL 0"), ("echo", "b"))
    assert [result.stdout for result in reply.results] == [b"a\n"]
    assert reply.cut
    assert reply.cut.reason is EvidenceError.COMMAND_FAILED


def test_commands_over_the_argument_limit_go_into_the_next_batch(shell: Shell) -> None:
    commands = [Command("n", ("printf", "%s", word * 30_000)) for word in "abcdef"]
    batch = Batch.of(commands, LIMIT)
    assert batch.commands == tuple(commands[:3])
    assert [result.stdout for result in shell.run_batch(batch).results] == [
        b"a" * 30_000,
        b"b" * 30_000,
        b"c" * 30_000,
    ]


def test_a_batch_holds_at_least_one_command() -> None:
    command = Command("n", ("echo", "x" * 200_000))
    assert Batch.of([command, command], LIMIT).commands == (command,)


def test_times_are_those_of_the_nodes_clock(shell: Shell) -> None:
    nap, instant = shell.run(("sleep", "0.1"), ("true",)).results
    assert 0.09 <= nap.duration_s <= nap.age_s <= 5
    assert instant.age_s == pytest.approx(nap.age_s - nap.duration_s)
    assert instant.duration_s <= instant.age_s


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "unexpected",
        "unexpected{n}s 1.0\n{n}r{n}x 1.0\n",
        "{n}x 1.0\n",
        "{n}s 1.0\n{n}o 0 1.0\n{n}r{n}e{n}x 1.0\n",  # a result although the batch is empty
        "{n}s 1.0\n{n}r{n}x 1.0\n" + 1000 * "x",
    ],
)
def test_a_reply_that_does_not_match_the_batch_is_an_error(reply: str) -> None:
    batch = Batch((), reply_limit=1000)
    with pytest.raises(FramingError):
        batch.decode(reply.format(n=batch.nonce).encode())


FACT = Command("n", ("true",))


@given(
    st.lists(
        st.binary(max_size=10)
        | st.sampled_from([b"NONCE", b"s 1.0\n", b"o 0 1.5\n", b"r", b"e", b"x 2.0\n"]),
        max_size=12,
    )
)
def test_garbage_raises_only_a_framing_error(pieces: list[bytes]) -> None:
    batch = Batch((FACT, FACT), 1000)
    reply = b"".join(pieces).replace(b"NONCE", batch.nonce.encode())
    batch.is_whole(reply)
    try:
        decoded = batch.decode(reply)
    except FramingError:
        return
    assert len(decoded.results) <= 2
    assert (decoded.cut is None) == (len(decoded.results) == 2)
    assert all(isinstance(result, Result) for result in decoded.results)
