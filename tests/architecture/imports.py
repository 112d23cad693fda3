"""The imports between the direct children of a package. Called by `architecture`.

Imports that other imports imply are left out: if checks import datapath and datapath imports netstack, an arrow from
checks to netstack adds nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grimp import ImportGraph

PACKAGE = "datapath_probe"


@dataclass(frozen=True, slots=True)
class Packages:
    """Both by name. `imports`: the packages that a package imports. `floors`: 0 for a package that imports none."""

    imports: Mapping[str, frozenset[str]]
    floors: Mapping[str, int]


def packages(graph: ImportGraph, parent: str = PACKAGE, *, modules: bool = False) -> Packages:
    """The packages right inside `parent`, with `modules` also the modules, and their imports after reduction."""
    children = [child for child in graph.find_children(parent) if modules or graph.find_children(child)]
    owner = {module: child for child in children for module in (child, *graph.find_descendants(child))}
    imports: dict[str, set[str]] = {_short(child): set() for child in children}
    for module, child in owner.items():
        for imported in graph.find_modules_directly_imported_by(module):
            if imported in owner and owner[imported] != child:
                imports[_short(child)].add(_short(owner[imported]))
    return Packages(reduced(imports), floors(imports))


def contents(graph: ImportGraph, package: str) -> list[str]:
    """The sub-packages of a package, by name."""
    return sorted(
        _short(child) for child in graph.find_children(f"{PACKAGE}.{package}") if graph.find_children(child)
    )


def floors(imports: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Each package one floor above the highest that it imports. Raises ValueError on a cycle."""
    found: dict[str, int] = {}
    while len(found) < len(imports):
        ready = [r for r, used in imports.items() if r not in found and found.keys() >= set(used)]
        if not ready:
            raise ValueError(f"these import each other: {', '.join(sorted(imports.keys() - found.keys()))}")
        found |= {
            package: 1 + max((found[used] for used in imports[package]), default=-1) for package in ready
        }
    return found


def reduced(imports: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """The imports that no chain of others implies (the transitive reduction)."""
    order = floors(imports)
    reachable: dict[str, frozenset[str]] = {}
    for package in sorted(imports, key=order.__getitem__):
        reachable[package] = frozenset(imports[package]).union(
            *(reachable[used] for used in imports[package])
        )
    return {
        package: frozenset(used).difference(*(reachable[between] for between in used))
        for package, used in imports.items()
    }


def _short(module: str) -> str:
    return module.rpartition(".")[2]
