"""Programs on devices: detached, or with a foreign one before them. By tcx or by classic tc, as the lab is set.

In: a lab, a node, a device, a program's name. Used by the catalogue and by the e2e tests.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from faults.inject.agent import in_agent
from lab.cluster import Lab

_KEPT = "/sys/fs/bpf/faults-program"


@contextmanager
def detached(lab: Lab, node: str, device: str, program: str) -> Iterator[None]:
    """A device without this program. The very program is attached again, though no longer by the agent's link."""
    found = next(one for one in attached(lab, node, device) if one["name"].startswith(program))
    kept = f"{_KEPT}-{program}-{device}"
    in_agent(lab, node, "bpftool", "prog", "pin", "id", str(found.get("prog_id") or found["id"]), kept)
    way, direction = found["kind"].split("/")
    do, undo = (_tcx if way == "tcx" else _tc)(found, device, direction, kept)
    in_agent(lab, node, *do)
    try:
        yield
    finally:
        in_agent(lab, node, *undo)
        in_agent(lab, node, "rm", kept)


_Argvs = tuple[Sequence[str], Sequence[str]]


def _tcx(found: dict[str, Any], device: str, direction: str, kept: str) -> _Argvs:
    """How to detach, and to attach again."""
    hook = ("bpftool", "net")
    detach: Sequence[str] = (*hook, "detach", f"tcx_{direction}", "dev", device)
    if found.get("link_id"):  # not yet attached by a fault before this one
        detach = ("bpftool", "link", "detach", "id", str(found["link_id"]))
    return detach, (*hook, "attach", f"tcx_{direction}", "pinned", kept, "dev", device)


def _tc(found: dict[str, Any], device: str, direction: str, kept: str) -> _Argvs:
    """The same for a filter."""
    place = ("dev", device, direction, "prio", "1", "handle", "1", "bpf")
    return ("tc", "filter", "del", *place), ("tc", "filter", "add", *place, "da", "object-pinned", kept)


def attached(lab: Lab, node: str, device: str) -> list[dict[str, Any]]:
    """All programs on a device, as bpftool lists them."""
    [shown] = json.loads(in_agent(lab, node, "bpftool", "-j", "net", "show", "dev", device))
    programs: list[dict[str, Any]] = shown["tc"]
    return programs
