"""Recorded output of the programs of a real cluster (written by `tests/data/record.py`), as readings."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datapath_probe.diagnose.run import format_1
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer

DATA = Path(__file__).parents[2] / "data"
FIRST = "cilium-1.18.5"
RECORDED = DATA / FIRST / "vxlan"
AT = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One fact and its answer."""

    argv: tuple[str, ...]
    answer: Answer
    node: str = ""  # "": curl, which runs in the pod

    saved: Fact | None = None  # None: only the command was recorded, or it ran in the pod

    @property
    def fact(self) -> Fact:
        fact = self.saved or format_1.fact_of(self.node, self.argv)
        assert fact is not None
        return fact


@cache
def recordings(module: str, of: str = FIRST) -> dict[str, Recording]:
    """All recordings of one module of `sources`, by name; `of`: the folder of the version."""
    saved = json.loads((DATA / of / "vxlan" / f"{module}.json").read_text())
    return {
        name: Recording(
            argv=tuple(one["argv"]),
            answer=printed(one["stdout"], one["exitCode"], one["stderr"]),
            node=one.get("node", ""),
            saved=_fact(one),
        )
        for name, one in saved.items()
    }


def _fact(one: dict[str, Any]) -> Fact | None:
    if "kind" not in one:
        return None
    return Fact(FactKind(one["kind"]), one["node"], tuple(one["parameters"].items()))


def answer(module: str, name: str) -> Answer:
    """The answer with this name."""
    return recordings(module)[name].answer


def fact(module: str, name: str) -> Fact:
    """The fact with this name, which the builder should make."""
    return recordings(module)[name].fact


def everything() -> Iterator[tuple[str, Recording]]:
    """Module and recording."""
    for module in modules(FIRST):
        for recording in recordings(module).values():
            yield module, recording


def modules(of: str) -> list[str]:
    """The modules with recordings."""
    return sorted(path.stem for path in (DATA / of / "vxlan").glob("*.json"))


def printed(stdout: str | bytes, exit_code: int = 0, stderr: str | bytes = b"") -> Answer:
    """An answer with this output."""
    return Answer(exit_code, _bytes(stdout), _bytes(stderr), at=AT, duration_s=0.01)


def looked_up(value: str) -> Answer:
    """The output of `bpftool map lookup` for a value written as `00 01 …`."""
    octets = ",".join(f'"0x{octet}"' for octet in value.split())
    return printed(f'{{"key":["0x00"],"value":[{octets}]}}\n')


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
