"""The programs at one side of a device, or why they can't be listed.

A bpftool older than tcx does not list tcx programs: an empty list counts only if there is no pinned link, or the link
is detached.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Attachment, Direction, PinnedLink
from ..finding.evidence_reader import EvidenceReader


@dataclass(frozen=True, slots=True)
class Hook:
    """One side of a device, and the program of Cilium that belongs there; "" if none does. `endpoint`: whose device it
    is, by its ID; None for the devices of the node.
    """

    node: str
    device: str
    direction: Direction
    program: str
    endpoint: int | None = None

    @property
    def attached(self) -> Fact:
        """All programs on the device."""
        return bpftool.attached(self.node, self.device)

    def link(self, program: str = "") -> Fact:
        """Where the agent pins its link of a program at this device; of the one that belongs here, if none is given."""
        name = program or self.program
        if self.endpoint is None:
            return bpftool.device_link(self.node, self.device, name)
        return bpftool.endpoint_link(self.node, self.endpoint, name)


def programs(reader: EvidenceReader, hook: Hook) -> tuple[Attachment, ...] | Unavailable:
    """The programs at this side of the device, in order of execution."""
    attached = reader.read(hook.attached, bpftool.parse_attached)
    if isinstance(attached, Unavailable):
        return attached
    if not attached and hook.program:
        link = reader.read(hook.link(), bpftool.parse_link)
        if isinstance(link, Unavailable):
            return link
        if isinstance(link, PinnedLink) and link.ifindex is None:
            message = f"bpftool on {hook.node} is too old to list tcx programs, and a link is pinned for {hook.device}"
            return Unavailable(Reason.UNSUPPORTED_VERSION, message)
    return tuple(attachment for attachment in attached if attachment.direction is hook.direction)
