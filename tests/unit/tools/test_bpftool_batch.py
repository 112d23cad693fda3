"""Commands batched into one bpftool process: each gets its own result, or runs in its own process."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.kube.exec.framing import Batch, Reply
from datapath_probe.kube.exec.query import Query
from datapath_probe.tools import bpftool_batch
from datapath_probe.tools.command import Command

# Like bpftool 7.5: stops after the first failed command, with its exit code. Keys that end in `00` are absent.
BPFTOOL = """
say() { for word; do case $word in 00) found=254; out=null;; *) found=0; out="{\\"key\\":\\"$word\\"}";; esac; done; }
[ "$2" = batch ] || { say "$@"; echo "$out"; exit $found; }
echo one >>@LOG@; printf '['; sep=
while read -r line; do
    say $line
    printf '%s{"command":["%s"],"output":%s}' "$sep" "$(echo "$line" | sed 's/ /","/g')" "$out"; sep=,
    [ $found = 0 ] || break
done
echo ']'; exit $found
"""
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
Converse = Callable[[list[Command]], list[tuple[int, bytes]]]


def lookup(*key: int) -> Command:
    words = ("map", "lookup", "pinned", "/sys/fs/bpf/tc/globals/cilium_lxc", "key", "hex")
    return Command("node1", ("bpftool", "-j", *words, *(f"{octet:02x}" for octet in key)))


def printed(*commands: Command, outputs: list[str]) -> bytes:
    lines = [list(command.argv[2:]) for command in commands]
    objects = [
        f'{{"command":{json.dumps(words, separators=(",", ":"))},"output":{output}}}'
        for words, output in zip(lines, outputs, strict=True)
    ]
    return f"[{','.join(objects)}]\n".encode()


@pytest.fixture(params=[name for name, argv in SHELLS.items() if shutil.which(argv[0])])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return SHELLS[request.param]


def run(batch: Batch, shell: list[str], path: str) -> Reply:
    done = subprocess.run(
        shell, input=batch.script(), capture_output=True, env={**os.environ, "PATH": path}, check=True
    )
    return batch.decode(done.stdout)


@pytest.fixture
def converse(shell: list[str], tmp_path: Path) -> Converse:
    """Ask all facts in this shell, with a fake bpftool in its PATH."""
    program = tmp_path / "bpftool"
    program.write_text("#!/bin/sh\n" + BPFTOOL.replace("@LOG@", shlex.quote(str(tmp_path / "started"))))
    program.chmod(0o755)

    def ask(commands: list[Command]) -> list[tuple[int, bytes]]:
        asking = Query(commands, reply_limit=100_000)
        while batch := asking.next_batch():
            asking.take(run(batch, shell, f"{tmp_path}:{os.environ['PATH']}"), 0.0)
        return [(reading.exit_code, reading.stdout) for reading in asking.readings()]  # type: ignore[union-attr]

    return ask


def test_batched_commands_get_their_own_answers(converse: Converse, tmp_path: Path) -> None:
    commands = [lookup(1), lookup(0), Command("node1", ("echo", "x")), lookup(2), lookup(0, 0), lookup(3)]
    absent = (254, b"null\n")
    assert converse(commands) == [
        (0, b'{"key":"01"}\n'),
        absent,
        (0, b"x\n"),
        (0, b'{"key":"02"}\n'),
        absent,
        (0, b'{"key":"03"}\n'),
    ]
    assert (tmp_path / "started").read_text().count("one") == 3, (
        "one process, and one more behind each failure"
    )


def test_without_bpftool_each_command_reports_it(shell: list[str], tmp_path: Path) -> None:
    for name in ("sh", "timeout", "head", "dd"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    asking = Query([lookup(1), lookup(2)], reply_limit=100_000)
    while batch := asking.next_batch():
        asking.take(run(batch, [shutil.which(shell[0]) or "", *shell[1:]], str(tmp_path)), 0.0)
    assert [getattr(reading, "reason", None) for reading in asking.readings()] == [
        EvidenceError.NO_SUCH_EXECUTABLE
    ] * 2


@pytest.mark.parametrize("word", ["a b", "#", "'", '"', "\\", "a\nb", "", "$(id)"])
def test_an_argument_with_special_characters_is_not_batched(word: str) -> None:
    assert not bpftool_batch.fits(Command("node1", ("bpftool", "-j", "map", word)))


def test_the_last_answer_has_the_exit_code_of_the_process() -> None:
    commands = [lookup(1), lookup(2), lookup(3)]
    output = printed(*commands[:2], outputs=['{"value":[]}', "null"])
    assert bpftool_batch.results(commands, output, 254) == [(b'{"value":[]}\n', 0), (b"null\n", 254)]


def test_an_error_of_the_batch_is_not_the_failure_of_a_command() -> None:
    output = printed(lookup(1), outputs=["{}"]).replace(
        b"}]\n", b'},{"error":"reading batch file failed: Invalid argument"}]\n'
    )
    assert bpftool_batch.results([lookup(1)], output, 255) == [(b"{}\n", 0)]


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"null\n",
        b'[{"command":["map"',
        printed(lookup(2), outputs=["{}"]),  # the answer to another command
        printed(lookup(1), lookup(2), lookup(3), outputs=["{}"] * 3),  # more answers than commands
        printed(lookup(1), outputs=["{}"]),  # exit code 0, although one answer is missing
    ],
)
def test_unexpected_output_answers_no_command(output: bytes) -> None:
    assert bpftool_batch.results([lookup(1), lookup(2)], output, 0) == []
