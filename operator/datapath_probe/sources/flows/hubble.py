"""Hubble's events of one connection: what the ring of a node still contains, read by `hubble` in the agent's own
container, which requires neither TLS nor Relay.

The newest event of a node can't be read before the next one arrives (`ring.go` never returns its last slot), so a
single dropped SYN may be invisible for a while: `newest` shows whether the ring has advanced.
Source: Cilium 1.16–1.20 `hubble/cmd/observe`, `api/v1/flow/flow.proto`, `pkg/hubble/container/ring.go`.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from ...addresses import IpAddress, parse_address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import is_path
from ...evidence.reading import Answer
from ..drop_reasons import FIRST_DROP
from ..parsing import Json, parser
from .flow import Flow, Flows, Point

# Not those of the ring: any filtered query that reaches its oldest slot reports one although no event was lost.
_LOST_BEFORE_THE_RING = frozenset({"PERF_EVENT_RING_BUFFER", "OBSERVER_EVENTS_QUEUE"})
SOCKET = "/var/run/cilium/hubble.sock"  # the default
_DIRECTIONS = {"INGRESS": "ingress", "EGRESS": "egress"}
_DIGITS = re.compile(r"[0-9]{1,20}")
_POINTS = {str(point): point for point in Point}


def socket_path(config_map: Mapping[str, str]) -> str:
    """The path of the socket, with or without a scheme in the configuration."""
    path = config_map.get("hubble-socket-path", "").removeprefix("unix://")
    return path if is_path(path) else SOCKET


def socket(node: str, path: str) -> Fact:
    """Whether the agent serves Hubble. Asked where this matters before Hubble is queried."""
    return Fact.of(FactKind.HUBBLE_SOCKET, node, path=path)


@parser("test -S", exit_codes=(0, 1))
def parse_socket(answer: Answer) -> bool:
    """Whether the socket exists."""
    return answer.exit_code == 0


def connection(node: str, ip: IpAddress, port: int, since_s: int) -> Fact:
    """Events of packets from or to this address and port in the last `since_s` seconds, by the node's clock.
    Translation of the destination does not change the client's address and port.
    """
    return Fact.of(FactKind.FLOWS, node, address=ip, port=port, since_s=since_s)


def icmp(node: str, ip: IpAddress, since_s: int) -> Fact:
    """ICMP from or to this address. ICMP errors have no ports, so `connection` does not return them."""
    return Fact.of(FactKind.ICMP_FLOWS, node, address=ip, since_s=since_s)


def newest(node: str) -> Fact:
    """The newest event of the node that can be read."""
    return Fact.of(FactKind.NEWEST_FLOW, node)


@parser("hubble observe")
def parse(answer: Answer) -> Flows:
    """The events; none if nothing was printed. Lines of other kinds are skipped."""
    flows: list[Flow] = []
    lost = 0
    for text in answer.stdout.splitlines():
        if not text.strip():
            continue
        shown = Json.parse(text)
        if shown["flow"]:
            flows.append(_flow(shown["flow"], shown["time"]))
        elif shown["lost_events"] and shown["lost_events"]["source"].text("") in _LOST_BEFORE_THE_RING:
            lost += _uint64(shown["lost_events"]["num_events_lost"])
    return Flows(tuple(flows), lost)


def _flow(flow: Json, time: Json) -> Flow:
    """Convert an event. The JSON omits members with default values."""
    protocol, ports, flags = _layer4(flow["l4"])
    code = flow["drop_reason"].integer(0)
    point = flow["trace_observation_point"].text("")
    addresses = flow["IP"]
    return Flow(
        at=datetime.fromisoformat((time or flow["time"]).text()).timestamp(),
        protocol=protocol,
        source=parse_address(addresses.maybe("source").text("")),
        source_port=ports[0],
        destination=parse_address(addresses.maybe("destination").text("")),
        destination_port=ports[1],
        drop_code=code if code >= FIRST_DROP else None,
        point=_POINTS.get(point),
        direction=_DIRECTIONS.get(flow["traffic_direction"].text(""), ""),
        file=flow["file"].maybe("name").text(""),
        flags=flags,
        policies=tuple(
            _policy(policy)
            for direction in ("egress", "ingress")
            for verdict in ("denied", "allowed")
            for policy in flow[f"{direction}_{verdict}_by"] or ()
        ),
        summary=flow["Summary"].text(""),
        source_identity=flow["source"].maybe("identity").unsigned(32, 0),
    )


def _layer4(layer: Json) -> tuple[str, tuple[int, int], tuple[str, ...]]:
    for protocol in ("TCP", "UDP", "SCTP"):
        ports = layer.maybe(protocol)
        if ports:
            flags = tuple(flag for flag in _TCP_FLAGS if ports["flags"].maybe(flag))
            return (
                protocol,
                (ports["source_port"].unsigned(16, 0), ports["destination_port"].unsigned(16, 0)),
                flags,
            )
    return next((name for name in ("ICMPv4", "ICMPv6") if layer.maybe(name)), ""), (0, 0), ()


_TCP_FLAGS = ("SYN", "ACK", "PSH", "FIN", "RST")


def _policy(policy: Json) -> str:
    """The kind is reported since 1.17."""
    namespace, name = policy["namespace"].text(""), policy["name"].text("")
    return f"{policy['kind'].text('')} {namespace}{'/' if namespace else ''}{name}".strip()


def _uint64(number: Json) -> int:
    """As protojson writes it: a string of digits; 0 is left out."""
    digits = number.text("0")
    if not _DIGITS.fullmatch(digits):
        raise ValueError("the number of lost events is not a number")
    return int(digits)
