"""Log lines, as a log collector reads them."""

import json
import subprocess
import sys
from typing import Any


def logged(program: str) -> list[dict[str, Any]]:
    """The log of a process that runs this program, with stderr not a terminal."""
    setup = "import logging, structlog\nfrom datapath_probe.cli import logs\nlogs.configure('INFO')\n"
    done = subprocess.run([sys.executable, "-c", setup + program], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


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
