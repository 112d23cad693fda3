"""The runs whose evidence is in the directory: by probe, and by namespace and what they are worth. Held by
`evidence_files`.

In: the names and sizes of files. Out: which runs there are, and which to delete if space is short: one of the namespace
that has the most, so none loses anything while it has less than an equal share. Kept in memory, because there may be
tens of thousands of files.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ...publish.status.saved_run import RunKind
from .retention import MOST_WORTH, SavedRun

_RUN = r"(?P<run>(?P<probe>.+)\.(?P<started_ms>[0-9]+)\.[^.-]+)(-[0-9]+)?"
_BUNDLE = re.compile(rf"{_RUN}\.(?P<kind>(healthy|degraded|broken|unknown)[a-z0-9_]*)\.json")
_BUNDLE_WITHOUT_KIND = re.compile(rf"{_RUN}\.json")  # of an earlier version
_OTHERS = re.compile(
    rf"{_RUN}\..+\.pcap|.+\.[0-9]+\.[^.]+\..+\.part"
)  # .part: of an operator that was killed


class _Namespace:
    """The runs of one namespace by worth, the oldest first, and the size of their files."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self.by_worth: tuple[dict[str, SavedRun], ...] = tuple({} for _ in range(MOST_WORTH + 1))

    @property
    def worth_least(self) -> SavedRun | None:
        return next((next(iter(runs.values())) for runs in self.by_worth if runs), None)


class SavedRuns:
    """`total_bytes`: size of all files."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self._sizes: dict[str, int] = {}  # by file
        self._by_probe: dict[str, dict[str, SavedRun]] = {}
        self._by_namespace: dict[str, _Namespace] = {}

    def add(self, run: SavedRun) -> None:
        """Add a run that is younger than all others."""
        self._by_probe.setdefault(run.probe, {})[run.name] = run
        self._by_namespace.setdefault(run.namespace, _Namespace()).by_worth[run.worth][run.name] = run

    def add_file(self, run: SavedRun, name: str, size: int) -> None:
        """Add a file of a run, or replace it."""
        self._grow(run, size - self._sizes.get(name, 0))
        self._sizes[name] = size
        run.files.add(name)

    def remove_file(self, run: SavedRun, name: str) -> None:
        """Remove a file that was added."""
        self._grow(run, -self._sizes.pop(name))
        run.files.remove(name)

    def remove(self, run: SavedRun) -> None:
        """Remove a run that was added, and whose files were removed."""
        namespace = self._by_namespace[run.namespace]
        del namespace.by_worth[run.worth][run.name]
        if not any(namespace.by_worth):
            del self._by_namespace[run.namespace]
        del self._by_probe[run.probe][run.name]
        if not self._by_probe[run.probe]:
            del self._by_probe[run.probe]

    def has(self, file: str) -> bool:
        return file in self._sizes

    def of_probe(self, probe: str) -> list[SavedRun]:
        return list(self._by_probe.get(probe, {}).values())

    def worth_least(self) -> SavedRun | None:
        """The oldest run of those that are worth least in the namespace that has the most; first the files without a
        bundle. None if there is none at all.
        """
        of_none = self._by_namespace.get("")
        largest = max(self._by_namespace.values(), key=lambda each: each.total_bytes, default=None)
        return (of_none or largest or _Namespace()).worth_least

    def _grow(self, run: SavedRun, size: int) -> None:
        self.total_bytes += size
        self._by_namespace[run.namespace].total_bytes += size


def found_in(directory: Path) -> SavedRuns:
    """The runs in a directory. Files with other names, and those that are deleted concurrently, are left out."""
    sizes: dict[str, int] = {}
    for path in directory.iterdir():
        if any(pattern.fullmatch(path.name) for pattern in (_BUNDLE, _BUNDLE_WITHOUT_KIND, _OTHERS)):
            with suppress(FileNotFoundError):
                sizes[path.name] = path.stat().st_size
    saved, runs = SavedRuns(), _runs(sizes)
    for run in sorted({run.name: run for run in runs.values()}.values(), key=lambda run: run.started_ms):
        saved.add(run)
    for name, run in runs.items():
        saved.add_file(run, name, sizes[name])
    return saved


def _runs(names: Iterable[str]) -> Mapping[str, SavedRun]:
    """The run of each file."""
    runs: dict[str, SavedRun] = {}
    of_files: dict[str, SavedRun] = {}
    for name in names:
        found = _BUNDLE.fullmatch(name) or _BUNDLE_WITHOUT_KIND.fullmatch(name)
        if found:
            kind = RunKind.parsed(found.groupdict().get("kind") or "") or RunKind()
            run = SavedRun(found["probe"], found["run"], int(found["started_ms"]), kind)
            of_files[name] = runs.setdefault(run.name, run)
    for name in names:
        if name not in of_files:
            ends = (place.start() for place in re.finditer("[.-]", name))
            of_files[name] = next(
                (runs[name[:end]] for end in ends if name[:end] in runs), SavedRun("", name, 0, RunKind())
            )
    return of_files
