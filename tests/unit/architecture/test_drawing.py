"""The drawing of the architecture: its contents, and that nothing overlaps."""

from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import grimp
import pytest

from architecture import captions
from architecture.__main__ import drawing, main, pure_packages
from architecture.imports import PACKAGE, Packages, floors, packages, reduced
from architecture.layout import Box, Drawing, laid_out

DIAMOND = {"top": {"left", "right", "base"}, "left": {"base"}, "right": {"base"}, "base": set[str]()}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def test_an_import_that_other_imports_imply_is_left_out() -> None:
    assert reduced(DIAMOND) == {
        "top": {"left", "right"},
        "left": {"base"},
        "right": {"base"},
        "base": set(),
    }


def test_each_package_is_above_those_that_it_imports() -> None:
    assert floors(DIAMOND) == {"base": 0, "left": 1, "right": 1, "top": 2}


def test_import_cycles_are_rejected() -> None:
    with pytest.raises(ValueError, match="these import each other: a, b"):
        floors({"a": {"b"}, "b": {"a"}, "c": set()})


def test_modules_are_included_only_on_request(graph: grimp.ImportGraph) -> None:
    assert "engine" in packages(graph, f"{PACKAGE}.diagnose", modules=True).imports
    assert "engine" not in packages(graph, f"{PACKAGE}.diagnose").imports


@pytest.mark.parametrize("package", [PACKAGE, f"{PACKAGE}.diagnose"])
def test_boxes_do_not_overlap_and_arrows_point_down(graph: grimp.ImportGraph, package: str) -> None:
    found = packages(graph, package, modules=True)
    laid = laid_out(found, 0, 0, 480)
    assert laid.boxes.keys() == found.imports.keys()
    assert not [pair for pair in combinations(laid.boxes.values(), 2) if _overlap(*pair)]
    assert laid.arrows.keys() == {
        (package, used) for package in found.imports for used in found.imports[package]
    }
    for points in laid.arrows.values():
        heights = [y for _, y in points]
        assert heights == sorted(heights)
    assert not _crossed(laid)


def test_an_arrow_that_skips_a_floor_passes_beside_the_boxes() -> None:
    imports = {"top": frozenset({"middle", "other"}), "middle": frozenset({"base"})}
    found = Packages(
        imports | dict.fromkeys(("other", "base"), frozenset()),
        {"top": 2, "middle": 1, "other": 0, "base": 0},
    )
    assert not _crossed(laid_out(found, 0, 0, 300))


def test_the_packages_without_io_match_the_import_contract() -> None:
    assert pure_packages() >= {"api", "plan", "diagnose"}
    assert "kube" not in pure_packages()


def test_the_drawing_is_xml_and_names_every_package() -> None:
    texts = {element.text for element in ElementTree.fromstring(drawing()).iter()}  # noqa: S314 - our own
    assert texts >= captions.ALL.keys()


def test_a_drawing_that_is_out_of_date_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.svg"
    path.write_text("<svg/>")
    assert main("--check", str(path)) == 1
    assert "run make docs-architecture" in capsys.readouterr().err
    assert main(str(path)) == 0
    assert main("--check", str(path)) == 0


def _overlap(one: Box, other: Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def _crossed(laid: Drawing) -> list[tuple[str, str]]:
    """The arrows that cross a box."""
    lines = [(pair, line) for pair, points in laid.arrows.items() for line in pairwise(points)]
    return [
        pair
        for pair, ((x1, y1), (x2, y2)) in lines
        for box in laid.boxes.values()
        if _overlap(box, Box(min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)))
    ]
