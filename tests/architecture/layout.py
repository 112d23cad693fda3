"""Places packages on floors: a box for each package, an arrow for each import, no arrow through a box.

An import that skips floors gets a narrow slot on each of them. The boxes and slots of a floor are ordered by the
positions of their neighbors and share the width. Units are pixels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from .imports import Packages

BOX_HEIGHT, FLOOR_HEIGHT = 80, 112
SLOT_WIDTH, GAP = 24, 20
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Box:
    """A package, or a slot that an arrow passes through."""

    left: float
    right: float
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


@dataclass(frozen=True, slots=True)
class Drawing:
    """`arrows`: the points of each import, from top to bottom."""

    boxes: Mapping[str, Box]
    arrows: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    height: float


_Node = tuple[str, ...]  # (package,), or (from, to, floor) for a slot


def laid_out(packages: Packages, left: float, top: float, width: float) -> Drawing:
    """The packages within this width; `left` and `top` are the corner."""
    pairs = sorted((package, used) for package in packages.imports for used in packages.imports[package])
    chains = {(package, used): _chain(packages, package, used) for package, used in pairs}
    links = [link for chain in chains.values() for link in pairwise(chain)]
    nodes = {(package,) for package in packages.imports} | {
        node for chain in chains.values() for node in chain
    }
    by_floor: dict[int, list[_Node]] = {}
    for node in sorted(nodes, key=lambda node: (-len(node), node)):
        by_floor.setdefault(_floor(packages, node), []).append(node)
    ordered = _ordered(by_floor, links)
    boxes: dict[_Node, Box] = {}
    for floor, row in ordered.items():
        boxes |= _placed(row, left, top + (max(ordered) - floor) * FLOOR_HEIGHT, width)
    arrows = {pair: _points([boxes[node] for node in chain]) for pair, chain in chains.items()}
    height = max(ordered) * FLOOR_HEIGHT + BOX_HEIGHT
    return Drawing({package: boxes[package,] for package in sorted(packages.imports)}, arrows, height)


def _chain(packages: Packages, package: str, used: str) -> list[_Node]:
    between = range(packages.floors[package] - 1, packages.floors[used], -1)
    return [(package,), *((package, used, str(floor)) for floor in between), (used,)]


def _floor(packages: Packages, node: _Node) -> int:
    return packages.floors[node[0]] if len(node) == 1 else int(node[2])


def _ordered(
    by_floor: Mapping[int, list[_Node]], links: Iterable[tuple[_Node, _Node]]
) -> dict[int, list[_Node]]:
    """Each floor by the mean place of its neighbors above, then below, and so on."""
    above: dict[_Node, list[_Node]] = {}
    below: dict[_Node, list[_Node]] = {}
    for upper, lower in sorted(links):
        above.setdefault(lower, []).append(upper)
        below.setdefault(upper, []).append(lower)
    order = dict(by_floor)
    for sweep in range(_SWEEPS):
        neighbors, falling = (above, True) if sweep % 2 == 0 else (below, False)
        for floor in sorted(order, reverse=falling):
            places = {
                node: (place + 0.5) / len(row) for row in order.values() for place, node in enumerate(row)
            }
            order[floor] = sorted(order[floor], key=lambda node: _mean_place(node, neighbors, places))
    return order


def _mean_place(node: _Node, neighbors: Mapping[_Node, list[_Node]], places: Mapping[_Node, float]) -> float:
    around = [places[neighbor] for neighbor in neighbors.get(node, ())]
    return sum(around) / len(around) if around else places[node]


def _placed(row: list[_Node], left: float, top: float, width: float) -> dict[_Node, Box]:
    slots = sum(len(node) > 1 for node in row)
    box_width = (width - GAP * (len(row) - 1) - SLOT_WIDTH * slots) / max(1, len(row) - slots)
    boxes: dict[_Node, Box] = {}
    for node in row:
        right = left + (box_width if len(node) == 1 else SLOT_WIDTH)
        boxes[node] = Box(left, right, top, top + BOX_HEIGHT)
        left = right + GAP
    return boxes


def _points(chain: list[Box]) -> tuple[tuple[float, float], ...]:
    """Down from box to box, straight where the boxes overlap."""
    points: list[tuple[float, float]] = []
    for upper, lower in pairwise(chain):
        left, right = max(upper.left, lower.left), min(upper.right, lower.right)
        overlap = right - left >= SLOT_WIDTH / 2
        middle = (left + right) / 2
        points += [
            (middle if overlap else upper.middle, upper.bottom),
            (middle if overlap else lower.middle, lower.top),
        ]
    return tuple(points)
