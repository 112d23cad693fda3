"""The programs attached to a device, or why they can't be listed.

A bpftool older than tcx does not list tcx programs: an empty list counts only if there is no pinned link, or the link
is detached.
"""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Attachment, Direction, PinnedLink
from ..finding.evidence_reader import EvidenceReader


def programs(
    reader: EvidenceReader, node: str, device: str, direction: Direction, pin: Fact
) -> tuple[Attachment, ...] | Unavailable:
    """The programs at this side of the device, in order of execution."""
    attached = reader.read(bpftool.attached(node, device), bpftool.parse_attached)
    if isinstance(attached, Unavailable):
        return attached
    if not attached:
        link = reader.read(pin, bpftool.parse_link)
        if isinstance(link, Unavailable):
            return link
        if isinstance(link, PinnedLink) and link.ifindex is None:
            message = f"bpftool on {node} is too old to list tcx programs, and a link is pinned for {device}"
            return Unavailable(Reason.UNSUPPORTED_VERSION, message)
    return tuple(attachment for attachment in attached if attachment.direction is direction)
