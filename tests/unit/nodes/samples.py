"""Facts of every kind, and other values of the protocol of node agents."""

from collections.abc import Iterator
from datetime import UTC, datetime

from datapath_probe.addresses import address
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import PARAMETERS, FactKind
from datapath_probe.evidence.parameters import Check, Value
from datapath_probe.nodes.address import NodeAgentAddress
from datapath_probe.sources.curl.request import CurlRequest, Tls

NODE = "node1"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
AGENT = NodeAgentAddress(NODE, address("192.0.2.1"), 4246, ready=True, incarnation="uid/0")
POD = "0f3c1f0e-5a0b-4b7f-9d55-2f9d3a1f4c11"
_CANDIDATES: tuple[Value, ...] = (
    *(1, 4, 6, "10.0.1.7", "cilium_lxc", "eth0", "external", "ingress", "service", "tcp", "legacy"),
    *("/run/cilium/cgroupv2", "/var/run/cilium/hubble.sock", POD, (1, 2), ("10.0.1.7", "fd00::1")),
)


def facts() -> Iterator[Fact]:
    """Two facts of each kind: with its required parameters, and with all."""
    for kind, known in PARAMETERS.items():
        required = tuple((name, _fitting(check)) for name, check in known.required.items())
        optional = tuple((name, _fitting(check)) for name, check in known.optional.items())
        yield Fact(kind, NODE, required)
        yield Fact(kind, NODE, required + optional)


def _fitting(check: Check) -> Value:
    for candidate in _CANDIDATES:
        try:
            return check(candidate)
        except ValueError:
            continue
    raise LookupError(check)


def request(**changes: object) -> CurlRequest:
    """A request that a probe could specify."""
    usual: dict[str, object] = {
        "protocol": "http",
        "host": "deathstar.default.svc",
        "port": 80,
        "method": "POST",
        "path": "/v1/request-landing",
        "headers": (("X-Probe", "1"), ("X-Empty", "")),
        "body": "Möbius".encode(),
        "timeout_s": 2.5,
        "local_port": 20001,
        "keep_body": True,
        "tls": Tls(),
    }
    return CurlRequest(**(usual | changes))  # type: ignore[arg-type]


UPTIME = Fact.of(FactKind.UPTIME, NODE)
