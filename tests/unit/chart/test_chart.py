"""What Chart.yaml says of the operator."""

import yaml

from chart.__main__ import CHART, COPIES
from datapath_probe import __version__
from datapath_probe.api.probe import Probe
from generated import ROOT

METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())
ANNOTATIONS = METADATA["annotations"]


def test_the_chart_installs_the_operator_of_this_checkout() -> None:
    assert METADATA["appVersion"] == __version__


def test_artifact_hub_lists_the_crd() -> None:
    crd = yaml.safe_load((CHART / "files/crd.yaml").read_text())
    [listed] = yaml.safe_load(ANNOTATIONS["artifacthub.io/crds"])
    [version] = crd["spec"]["versions"]
    assert (listed["kind"], listed["name"], listed["version"]) == (
        crd["spec"]["names"]["kind"],
        crd["metadata"]["name"],
        version["name"],
    )


def test_artifact_hub_shows_a_valid_probe() -> None:
    [example] = yaml.safe_load(ANNOTATIONS["artifacthub.io/crdsExamples"])
    example["metadata"] |= {"uid": "uid", "generation": 1}
    assert isinstance(Probe.from_object(example), Probe)


def test_the_license_is_that_of_the_project() -> None:
    assert ANNOTATIONS["artifacthub.io/license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_copies_are_read_by_a_template() -> None:
    templates = "".join(file.read_text() for file in (CHART / "templates").glob("*.yaml"))
    for copy in COPIES:
        assert f'.Files.Get "{copy}"' in templates
