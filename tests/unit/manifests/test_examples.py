"""The examples are valid, and each says what it asks."""

from pathlib import Path

import pytest
import yaml

from datapath_probe.api.probe import Probe
from kustomize import MANIFESTS

EXAMPLES = sorted((MANIFESTS / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_valid_probe_with_a_comment(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    for one in yaml.safe_load_all(text):
        if one["kind"] == "DatapathProbe":
            probe = Probe.from_object({**one, "metadata": {**one["metadata"], "uid": "u", "generation": 1}})
            assert isinstance(probe, Probe), probe.message
