"""Which of the locked packages the operator loads: none is in the image without a reason."""

import json
import subprocess
import sys
from functools import cache

from unit.supply_chain.locked import ROOT, locked

# Loads every module of the operator, and prints the distributions of all modules that are loaded then.
_PROGRAM = """
import importlib, importlib.metadata, json, pkgutil, sys
import datapath_probe
for module in pkgutil.walk_packages(datapath_probe.__path__, "datapath_probe."):
    importlib.import_module(module.name)
loaded = {name.partition(".")[0] for name in sys.modules}
owners = importlib.metadata.packages_distributions()
print(json.dumps(sorted({owner for name in loaded for owner in owners.get(name, ())})))
"""

# Installed, but not loaded.
_ON_DEMAND = {
    "markdown-it-py": "rich formats Markdown with it, which the operator does not use",
    "mdurl": "required by markdown-it-py",
    "tzdata": "time zones, if the system has none",
    "pycparser": "required by cffi, which does not need it once it is built",
    "win-inet-pton": "Windows only",
}
# Loaded and not used: `import kubernetes.aio` first runs kubernetes/__init__.py, which imports the synchronous client.
_OF_THE_SYNCHRONOUS_CLIENT = {"requests", "requests-oauthlib", "oauthlib", "urllib3", "websocket-client"}


@cache
def loaded() -> frozenset[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "operator",
    )
    return frozenset(name.lower().replace("_", "-") for name in json.loads(done.stdout))


def test_every_locked_package_is_loaded_or_has_a_reason() -> None:
    idle = set(locked()) - loaded()
    assert idle == set(_ON_DEMAND), "a package that is never loaded can be left out of the image"


def test_the_client_still_loads_what_the_operator_does_not_use() -> None:
    """Once it does not, leave these packages out of the image."""
    assert loaded() >= _OF_THE_SYNCHRONOUS_CLIENT
