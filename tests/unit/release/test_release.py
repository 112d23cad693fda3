"""A release names one version everywhere, and its chart and manifests name its image by digest."""

import shutil
from pathlib import Path

import pytest
import yaml

from release.__main__ import Disagreement, notes, set_image, versions
from unit.supply_chain.locked import ROOT

FILES = (
    "CHANGELOG.md",
    "operator/datapath_probe/__init__.py",
    "charts/datapath-probe/Chart.yaml",
    "charts/datapath-probe/values.yaml",
    "manifests/base/kustomization.yaml",
)
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_all_places_name_one_version() -> None:
    assert len(set(versions(ROOT).values())) == 1, versions(ROOT)


def test_notes_are_the_section_of_the_version(checkout: Path) -> None:
    version = versions(checkout)["__version__"]
    section = f"## [{version}] - 2026-12-24\n\n### Added\n\n- This.\n\n## [0.0.9] - 2026-11-24\n\n- That.\n"
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n- Later.\n\n{section}")
    assert notes(checkout, f"v{version}") == "### Added\n\n- This."


def test_a_version_without_notes_is_not_released(checkout: Path) -> None:
    version = versions(checkout)["__version__"]
    (checkout / "CHANGELOG.md").write_text(f"## [{version}]\n\n## [0.0.9]\n\n- That.\n")
    with pytest.raises(Disagreement, match="no section"):
        notes(checkout, f"v{version}")


def test_a_place_that_names_another_version_is_named(checkout: Path) -> None:
    version = versions(checkout)["__version__"]
    change(checkout / "charts/datapath-probe/Chart.yaml", f"appVersion: {version}", "appVersion: 0.0.1")
    with pytest.raises(Disagreement, match=rf"the tag is v{version}, but appVersion is 0\.0\.1"):
        notes(checkout, f"v{version}")


def test_chart_and_manifests_name_the_released_image(checkout: Path) -> None:
    set_image(checkout, "registry.example.org/datapath-probe", DIGEST)
    before = yaml.safe_load((ROOT / "charts/datapath-probe/values.yaml").read_text())
    after = yaml.safe_load((checkout / "charts/datapath-probe/values.yaml").read_text())
    image = {"repository": "registry.example.org/datapath-probe", "digest": DIGEST}
    assert after == before | {"image": before["image"] | image}
    kustomization = yaml.safe_load((checkout / "manifests/base/kustomization.yaml").read_text())
    assert kustomization["images"] == [
        {"name": "datapath-probe", "newName": image["repository"], "digest": DIGEST}
    ]


def test_what_is_no_digest_is_refused(checkout: Path) -> None:
    with pytest.raises(Disagreement, match="no digest"):
        set_image(checkout, "registry.example.org/datapath-probe", "null")
