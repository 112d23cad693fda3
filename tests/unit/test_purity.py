"""What import-linter can't check: pure packages use neither clock nor environment, and `replay` loads no client."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import datapath_probe

ROOT = Path(datapath_probe.__file__).parent
PURE = ("api", "evidence", "sources", "plan", "diagnose", "kube/objects", "publish/status")
FILES = [path for package in PURE for path in sorted((ROOT / package).rglob("*.py"))]
ALSO_PURE = [
    ROOT / "publish/advice.py",
    ROOT / "publish/events/events.py",
    ROOT / "control/schedule/slots.py",
    ROOT / "control/schedule/timetable.py",
]
IMPURE_CALLS = {"now", "utcnow", "today", "getenv", "uuid4", "open", "input", "print"}


@pytest.mark.parametrize("path", [*FILES, *ALSO_PURE], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_clock_environment_or_file_is_used(path: Path) -> None:
    body = [node for node in ast.parse(path.read_text()).body if not _is_main(node)]
    nodes = [inner for node in body for inner in ast.walk(node)]
    called = {_name(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert not called & IMPURE_CALLS
    assert "environ" not in {_name(node) for node in nodes}


def _is_main(node: ast.stmt) -> bool:
    """Generators print their output when they are run as programs."""
    return isinstance(node, ast.If) and "__main__" in ast.dump(node.test)


def _name(node: ast.AST) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def test_replay_loads_no_library_of_the_cluster() -> None:
    program = (
        "import sys; from datapath_probe.cli import main, replay, show; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"pydantic", "rich", "click"} <= set(loaded)
    foreign = {"kopf", "kubernetes", "aiohttp", "prometheus_client", "structlog", "asyncio", "pyroute2"}
    assert not foreign & set(loaded)
