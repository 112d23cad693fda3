"""Cilium's programs at the devices through which nodes reach each other. Packets between pods pass without them, but
Services from outside, the host firewall and encryption do not work: a latent fault.

The mode determines which programs there are; the agent's pinned links show it. Not read after a failure, which has
another cause. Source: Cilium 1.18 `pkg/datapath/loader/loader.go` (`reloadHostEndpoint`), `tc.go`, `tcx.go`.
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
    """Programs that are missing for packets from one node to the other: at the sender's egress, or the receiver's
    ingress.
    """
    if context.outcome.met is False:
        return
    for node, program in ((sender, TO_NETDEV), (receiver, FROM_NETDEV)):
        for device in sorted(uplinks(context, sender, receiver, of=node.name)):
            yield _detached(context, node.name, device, program)


def _detached(context: CheckContext, node: str, device: str, program: str) -> Contradiction | None:
    """A program with a pinned link that is not in the device's chain. Without a link (always with tc), or if it can't
    be read, no fault is reported.
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
