"""The modes in which faults are tried, each a setting of the lab. In: names. Out: settings."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from lab.settings import Attach, Settings
from lab.settings import Mode as Routing


class Mode(StrEnum):
    """How the lab's datapath is set."""

    VXLAN = "vxlan"
    KPR = "kpr"
    NATIVE = "native"
    TC = "tc"
    ENDPOINT_ROUTES = "endpoint-routes"
    NO_HUBBLE = "no-hubble"


_SETTINGS = {
    Mode.VXLAN: Settings(),
    Mode.KPR: Settings(mode=Routing.KPR),
    Mode.NATIVE: Settings(mode=Routing.NATIVE),
    Mode.TC: Settings(attach=Attach.TC),
    Mode.ENDPOINT_ROUTES: Settings(endpoint_routes=True),
    Mode.NO_HUBBLE: Settings(hubble=False),
}

NODES = 3
"""One for the control plane, two for the pods."""

EVERY = frozenset(Mode)
TUNNELED = EVERY - {Mode.NATIVE}
NODE_PORTS = frozenset({Mode.KPR})
"""Where Cilium serves them."""
PER_PACKET_LB = EVERY - {Mode.KPR}
BY_ROUTES = frozenset({Mode.ENDPOINT_ROUTES})
"""The node's stack finds the pods, by a route for each."""
BY_ENDPOINT_MAP = EVERY - BY_ROUTES


def settings_of(mode: Mode, version: str) -> Settings:
    """The lab that has this mode and Cilium version."""
    return replace(_SETTINGS[mode], cilium=version, nodes=NODES)


def parse(words: Sequence[str]) -> list[Mode]:
    """Modes by their names. ValueError for another name."""
    return [Mode(word) for word in words]
