"""Each example is a valid probe, and the list of examples is complete."""

import pytest
import yaml

from datapath_probe.api.probe import Probe
from kustomize import MANIFESTS, build

FOLDER = MANIFESTS / "examples"
EXAMPLES = sorted(file.name for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_valid_probe_that_is_explained(name: str) -> None:
    text = (FOLDER / name).read_text()
    body = yaml.safe_load(text)
    assert text.startswith("# ")
    assert body["metadata"]["name"] == name.removesuffix(".yaml")
    body["metadata"] |= {"namespace": "default", "uid": "uid", "generation": 1}
    assert isinstance(Probe.from_object(body), Probe)


def test_the_kustomization_lists_every_example() -> None:
    assert sorted(one["metadata"]["name"] for one in build(FOLDER)) == [
        name.removesuffix(".yaml") for name in EXAMPLES
    ]
