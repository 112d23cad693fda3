"""Cilium's programs at the devices by which nodes reach each other. Without them packets between pods go on as before:
what is lost are Services from outside, the host's firewall, encryption. So it is a fault that waits for its day.

Which of them there are depends on the mode; the links that the agent keeps tell. Not asked after a failure, which
comes of something else. Source: Cilium 1.18 `pkg/datapath/loader/loader.go` (`reloadHostEndpoint`), `tc.go`, `tcx.go`.
"""

from collections.abc import Iterator

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...plan.plan import NodeFacts
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import AttachKind, PinnedLink
from ..context import CheckContext
from ..finding.hop_check import Contradiction
from ..netstack.packet_model import uplinks

FROM_NETDEV, TO_NETDEV = "cil_from_netdev", "cil_to_netdev"


def detached_at_uplinks(
    context: CheckContext, sender: NodeFacts, receiver: NodeFacts
) -> Iterator[Contradiction | None]:
    """What packets from one node to the other should meet: one program where they leave, one where they arrive."""
    if context.outcome.met is False:
        return
    for node, program in ((sender, TO_NETDEV), (receiver, FROM_NETDEV)):
        for device in sorted(uplinks(context, sender, receiver, of=node.name)):
            yield _detached(context, node.name, device, program)


def _detached(context: CheckContext, node: str, device: str, program: str) -> Contradiction | None:
    """A program that a link is pinned for, and that is not in the device's chain. Without a link, as always with tc,
    or where it can't be seen, nothing is held against the device.
    """
    fact = bpftool.attached(node, device)
    chain = context.reader.read(fact, bpftool.parse_attached)
    if isinstance(chain, Unavailable) or any(bpftool.is_program(one.program, program) for one in chain):
        return None
    pin = bpftool.device_link(node, device, program)
    link = context.reader.read(pin, bpftool.parse_link)
    if not isinstance(link, PinnedLink):
        return None
    lists_tcx = any(one.attach is AttachKind.TCX for one in chain)
    if link.ifindex or (link.ifindex is None and not lists_tcx):  # this bpftool is too old to list it
        return None
    message = f"{program} is not attached to {device} on {node}: the agent's link is detached"
    return Contradiction(Reason.PROGRAM_MISSING, message, rests_on=(fact, pin), node=node)
