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
    NO_HUBBLE = "no-hubble"


ROUTING = {
    Mode.VXLAN: Routing.VXLAN,
    Mode.KPR: Routing.KPR,
    Mode.NATIVE: Routing.NATIVE,
    Mode.TC: Routing.VXLAN,
    Mode.NO_HUBBLE: Routing.VXLAN,
}

NODES = 3
"""One for the control plane, two for the pods."""

EVERY = frozenset(Mode)
TUNNELED = EVERY - {Mode.NATIVE}
PER_PACKET_LB = EVERY - {Mode.KPR}


def settings_of(mode: Mode, version: str) -> Settings:
    """The lab that has this mode and Cilium version."""
    attach = Attach.TC if mode is Mode.TC else Attach.TCX
    return replace(
        Settings(),
        mode=ROUTING[mode],
        attach=attach,
        cilium=version,
        nodes=NODES,
        hubble=mode is not Mode.NO_HUBBLE,
    )


def parse(words: Sequence[str]) -> list[Mode]:
    """Modes by their names. ValueError for another name."""
    return [Mode(word) for word in words]
