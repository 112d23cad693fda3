"""Hops `overlay-encapsulation` and `overlay-decapsulation`: the tunnel device at either end. Exercise 6.

Source: Cilium 1.18 `pkg/datapath/loader/loader.go` (programs), `pkg/datapath/tunnel` (device, port).
"""

from ...api.reasons import Reason
from ...cilium import agent_config, bpftool, links
from ...cilium.bpftool import Direction
from ...cilium.conntrack import CtEntry, CtFlag
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction, Hop

_LOST_BETWEEN = frozenset({Rung.SENT})


def check_overlay_encapsulation(case: Case, expected: ExpectedHop) -> Finding:
    """The source's node: `cil_to_overlay` at the egress of the tunnel device."""
    return _judge(case, expected, "cil_to_overlay", Direction.EGRESS)


def check_overlay_decapsulation(case: Case, expected: ExpectedHop) -> Finding:
    """The destination's node: `cil_from_overlay` at its ingress."""
    return _judge(case, expected, "cil_from_overlay", Direction.INGRESS)


def _judge(case: Case, expected: ExpectedHop, program: str, direction: Direction) -> Finding:
    config = case.config
    device = f"cilium_{config.tunnel_protocol}"
    hop = case.hop(expected, f"{program}@{device}")
    hop.intent(
        f"{config.tunnel_protocol} on port {config.tunnel_port}",
        {"tunnelProtocol": config.tunnel_protocol, "tunnelPort": config.tunnel_port},
    )
    link_question = links.link(expected.node, device)
    attached_question = bpftool.attached(expected.node, device)
    link = case.lens.read(link_question, links.parse_link)
    attached = case.lens.read(attached_question, bpftool.parse_attached)
    of_node = case.lens.read(agent_config.question(expected.node), agent_config.parse)
    _observe(case, hop, direction)
    if isinstance(link, Unavailable):
        return hop.unknown(link)
    if isinstance(link, Absent):
        hop.programmed("no such device")
        message = f"{expected.node} has no {device}"
        return hop.stale(
            Contradiction(Reason.TUNNEL_DEVICE_MISSING, message, _LOST_BETWEEN, (link_question,))
        )
    facts: dict[str, object] = {
        "device": device,
        "ifindex": link.ifindex,
        "up": link.up,
        "port": link.tunnel_port or "",
    }
    hop.programmed(f"{device} is {'up' if link.up else 'down'}", facts)
    if not link.up:
        message = f"{device} is down on {expected.node}"
        return hop.stale(Contradiction(Reason.TUNNEL_DEVICE_DOWN, message, _LOST_BETWEEN, (link_question,)))
    if link.tunnel_port and link.tunnel_port != config.tunnel_port:
        message = f"{device} on {expected.node} uses port {link.tunnel_port} instead of {config.tunnel_port}"
        return hop.stale(Contradiction(Reason.TUNNEL_MISCONFIGURED, message, _LOST_BETWEEN, (link_question,)))
    if isinstance(of_node, Unavailable):
        return hop.unknown(of_node)
    if (of_node.routing_mode, of_node.tunnel_protocol) != (config.routing_mode, config.tunnel_protocol):
        return hop.unknown(
            Unavailable(
                Reason.IN_TRANSITION,
                f"the agent on {expected.node} runs with routing-mode {of_node.routing_mode}, "
                f"the ConfigMap says {config.routing_mode}: it has not restarted since",
            )
        )
    if isinstance(attached, Unavailable):
        return hop.unknown(attached)
    chain = [a for a in attached if a.direction is direction]
    hop.programmed(f"{device} is up", facts | {"programs": ", ".join(a.program for a in chain)})
    if not any(bpftool.is_program(a.program, program) for a in chain):
        message = f"{program} is not attached to {device} on {expected.node}"
        return hop.stale(Contradiction(Reason.PROGRAM_MISSING, message, _LOST_BETWEEN, (attached_question,)))
    return hop.fine(f"{device} is up and has {program}")


def _observe(case: Case, hop: Hop, direction: Direction) -> None:
    incoming = case.connection.incoming
    if (
        direction is Direction.INGRESS
        and isinstance(incoming, CtEntry)
        and CtFlag.FROM_TUNNEL in incoming.flags
    ):
        hop.observed(
            "packets of this connection came out of the tunnel", {"conntrackFlags": _names(incoming.flags)}
        )
    elif direction is Direction.EGRESS and case.connection.received:
        hop.observed("packets of this connection reached the other node")


def _names(flags: CtFlag) -> str:
    return ", ".join(flag.name or "" for flag in CtFlag if flag in flags)
