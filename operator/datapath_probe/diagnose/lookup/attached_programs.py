"""What is attached to a device, as opposed to what a tool can't list.

A bpftool older than tcx lists nothing on devices that have programs: an empty list counts only if the pinned link
says that it is detached, or that there is none.
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
    """The programs at this side of the device, in the order in which they run."""
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
