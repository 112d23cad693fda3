"""Log lines, as a log collector reads them."""

import json
import subprocess
import sys
from typing import Any

import pytest


def printed(program: str, *, on_a_terminal: bool = False) -> str:
    """What a process that runs this program prints to stderr."""
    terminal = "import sys\nsys.stderr.isatty = lambda: True\n" if on_a_terminal else ""
    setup = "import logging, structlog\nfrom datapath_probe.cli import logs\nlogs.configure('INFO')\n"
    argv = [sys.executable, "-c", terminal + setup + program]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stderr


def logged(program: str) -> list[dict[str, Any]]:
    """The log of a process that runs this program, with stderr not a terminal."""
    return [json.loads(line) for line in printed(program).splitlines()]


def test_lines_are_json_with_the_context_of_their_run() -> None:
    (line,) = logged(
        "with structlog.contextvars.bound_contextvars(probe='default/landing', run_id='abc'):\n"
        "    structlog.get_logger('x').info('run ended', verdict='Healthy → ok')\n"
    )
    assert line["timestamp"].endswith("Z")
    del line["timestamp"]
    assert line == {
        "event": "run ended",
        "verdict": "Healthy → ok",
        "probe": "default/landing",
        "run_id": "abc",
        "level": "info",
        "logger": "x",
    }


def test_lines_of_other_libraries_have_the_same_format_and_context() -> None:
    (line,) = logged(
        "with structlog.contextvars.bound_contextvars(run_id='abc'):\n"
        "    logging.getLogger('kopf.x').warning('watch %s', 'lost')\n"
        "logging.getLogger('kopf.x').debug('noise')\n"
    )
    assert (line["event"], line["level"], line["run_id"]) == ("watch lost", "warning", "abc")


def test_a_traceback_stays_on_one_line() -> None:
    (line,) = logged(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    structlog.get_logger('x').exception('failed')\n"
    )
    assert "ZeroDivisionError: division by zero" in line["exception"]


FAILING = """
def send(headers):
    raise ValueError('odd \\x1b[31m\\u202e')

try:
    send({'Authorization': 'Bearer ' + 's3cret'.upper()})
except ValueError:
    structlog.get_logger('x').exception('failed')
    logging.getLogger('kopf').exception('failed too')
"""
HIDDEN = ("\x1b]0;", "\x9b", "\u202e", "\u200b", "\x07")
HOSTILE = r"""
values = {'reason': '\x9b31m \u200b', 'more': ['\x07', {'k': '\u202e'}]}
structlog.get_logger('x').info('a\x1b]0;t\x07 \u202e', **values)
"""


@pytest.mark.parametrize("on_a_terminal", [False, True])
def test_a_traceback_does_not_contain_the_values_of_variables(on_a_terminal: bool) -> None:
    text = printed(FAILING, on_a_terminal=on_a_terminal)
    assert text.count("ValueError") == 2
    assert "S3CRET" not in text


@pytest.mark.parametrize("on_a_terminal", [False, True])
def test_control_characters_are_visible(on_a_terminal: bool) -> None:
    text = printed(HOSTILE + FAILING, on_a_terminal=on_a_terminal)
    assert not any(hidden in text for hidden in HIDDEN)
    assert text.count("x9b31m") == 1
    assert text.count("u202e") >= 3


def test_on_a_terminal_a_traceback_has_its_lines() -> None:
    lines = printed(FAILING, on_a_terminal=True).splitlines()
    assert any(line.startswith("Traceback") for line in lines)
    assert "ValueError: odd \\x1b[31m\\u202e" in lines


def test_a_line_has_only_ascii() -> None:
    assert printed("structlog.get_logger('x').info('é → 星')").isascii()
