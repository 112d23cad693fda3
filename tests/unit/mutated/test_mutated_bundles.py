"""Whatever a file contains, `replay` prints a report of it or says in one line why it can't."""

import json
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.cli.main import main
from unit.mutated.mutations import changed, with_numbers
from unit.recorded import document, names

KEPT = ("plan", "request")


@cache
def _members(name: str) -> Mapping[str, Any]:
    members: dict[str, Any] = json.loads(document(name))
    return members


def _mutated(seed: int, name: str) -> bytes:
    random = Random(seed)
    text = document(name)
    match random.randrange(8):
        case 0:
            return text[: random.randrange(len(text))]
        case 1:
            return _flipped(random, text)
        case 2:
            part = random.choice(_members(name)["evidence"])
            return json.dumps({**_members(name), "evidence": [*_members(name)["evidence"], part]}).encode()
        case 3 | 4:
            return _with(random, name, "evidence")
        case 5:
            return _with(random, name, None)
    return _with(random, name, "plan", times=random.choice((1, 4)))


def _flipped(random: Random, text: bytes) -> bytes:
    output = bytearray(text)
    for _ in range(random.randint(1, 4)):
        output[random.randrange(len(output))] = random.randrange(256)
    return bytes(output)


def _with(random: Random, name: str, member: str | None, times: int = 1) -> bytes:
    """The document with changes in this member, or anywhere."""
    new = json.loads(document(name))
    for _ in range(times):
        if member is None:
            new = changed(random, new)
        elif isinstance(new, dict):
            new[member] = changed(random, new[member])
    return with_numbers(json.dumps(new).encode())


def replayed(text: bytes, *options: str) -> Result:
    return CliRunner().invoke(main, ("replay", "-", *options), input=text)


def assert_total(done: Result) -> None:
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    assert "InternalError" not in done.stdout
    lines = done.output.split("\n")
    assert all(line.isprintable() for line in lines)
    if done.exit_code:
        assert done.exit_code == 1
        assert done.stdout == ""
        assert done.stderr.startswith("Error: ")
        assert len(done.stderr) < 2000
        assert done.stderr.count("\n") == 1


@given(st.integers(0, 2**32 - 1), st.sampled_from(names()), st.sampled_from(("text", "json")))
def test_any_file_gives_a_report_or_one_line(seed: int, name: str, output: str) -> None:
    assert_total(replayed(_mutated(seed, name), "-o", output))
