"""`make sbom` lists exactly what the image installs, and is reproducible."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from unit.supply_chain.locked import REQUIREMENTS, ROOT, locked


def made(folder: Path) -> bytes:
    """The output of the command in the Makefile."""
    recipe = re.search(r"^sbom:.*\n\t@mkdir.*\n\t(.*\\\n.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    program, *argv = shlex.split(recipe[1].replace("\\\n", " "))
    assert program == "$(BIN)/python"
    output = folder / "sbom.json"
    argv[argv.index("--output-file") + 1] = str(output)
    subprocess.run([sys.executable, *argv], check=True, cwd=ROOT)
    return output.read_bytes()


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("sbom"))


def test_it_lists_every_locked_package_with_its_hashes(sbom: bytes) -> None:
    components = json.loads(sbom)["components"]
    assert {one["name"]: one["version"] for one in components} == locked()
    hashes = {h["content"] for one in components for r in one["externalReferences"] for h in r["hashes"]}
    assert hashes == set(re.findall(r"--hash=sha256:(\w+)", REQUIREMENTS.read_text()))


def test_it_is_reproducible(sbom: bytes, tmp_path: Path) -> None:
    assert made(tmp_path) == sbom
