"""The modes in which faults are tried. In: names. Out: settings of the lab. Called by `__main__` and the catalog."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from lab.settings import Attach, Ip, Settings
from lab.settings import Mode as Routing


class Mode(StrEnum):
    """A configuration of the lab's datapath."""

    VXLAN = "vxlan"
    KPR = "kpr"
    NATIVE = "native"
    TC = "tc"
    ENDPOINT_ROUTES = "endpoint-routes"
    NO_HUBBLE = "no-hubble"
    PRODUCTION = "production"
    IPV6 = "ipv6"
    """VXLAN in dual stack; probes request over IPv6."""


_SETTINGS = {
    Mode.VXLAN: Settings(),
    Mode.KPR: Settings(mode=Routing.KPR),
    Mode.NATIVE: Settings(mode=Routing.NATIVE),
    Mode.TC: Settings(attach=Attach.TC),
    Mode.ENDPOINT_ROUTES: Settings(endpoint_routes=True),
    Mode.NO_HUBBLE: Settings(hubble=False),
    Mode.PRODUCTION: Settings(mode=Routing.PRODUCTION),
    Mode.IPV6: Settings(ip=Ip.DUAL),
}

NODES = 3
"""One for the control plane, two for the pods."""

ALL_MODES = frozenset(Mode) - {Mode.IPV6}
"""The modes that faults name; for IPv6 the catalog has its own list."""
TUNNELED = ALL_MODES - {Mode.NATIVE}
NODE_PORTS = frozenset({Mode.KPR, Mode.PRODUCTION})
"""The modes in which Cilium serves NodePorts."""
PER_PACKET_LB = ALL_MODES - NODE_PORTS
PAST_QUEUES = frozenset({Mode.PRODUCTION})
"""BPF host routing: packets between pods are redirected past the queues, the MTU and the MAC of pods' devices."""
THROUGH_QUEUES = ALL_MODES - PAST_QUEUES
MASQUERADED_BY_BPF = frozenset({Mode.PRODUCTION})
"""`cil_to_netdev` masquerades, and packets out of the cluster do not traverse netfilter."""
MASQUERADED_BY_NETFILTER = ALL_MODES - MASQUERADED_BY_BPF
WITH_ENDPOINT_ROUTES = frozenset({Mode.ENDPOINT_ROUTES})
"""The node's stack delivers packets to pods by one route per endpoint."""
WITHOUT_ENDPOINT_ROUTES = ALL_MODES - WITH_ENDPOINT_ROUTES


def settings_of(mode: Mode, version: str) -> Settings:
    """The settings of a lab with this mode and Cilium version."""
    return replace(_SETTINGS[mode], cilium=version, nodes=NODES)


def parse(words: Sequence[str]) -> list[Mode]:
    """Modes by name. Raises ValueError for an unknown name."""
    return [Mode(word) for word in words]
