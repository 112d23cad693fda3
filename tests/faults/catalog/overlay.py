"""Faults between the nodes in tunnel mode: the device, its programs, the network."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken, either, lost_between
from faults.inject import devices, netfilter, programs
from faults.inject.in_place import Injected
from faults.inject.maps import overlay_tail_call, program_missing
from faults.modes import TUNNELED
from faults.scene import Scene, Target
from lab import network

VXLAN = "cilium_vxlan"
TO_OVERLAY, FROM_OVERLAY = "cil_to_overlay", "cil_from_overlay"
_TUNNEL = ("-p", "udp", "--dport", "8472")


def _detached(scene: Scene, node: str, program: str) -> Injected:
    return programs.detached_from_node(scene.lab, scene.api, node, VXLAN, program)


def _dropped(scene: Scene, node: str, chain: str, *words: str) -> Injected:
    return netfilter.rule(scene.lab, node, chain, *_TUNNEL, *words, "-j", "DROP")


ENCAP, DECAP = HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION
REPLY_ENCAP, REPLY_DECAP = HopName.REPLY_ENCAPSULATION, HopName.REPLY_DECAPSULATION

FAULTS = (
    Fault(
        "tunnel-device-down-source",
        lambda s: devices.down(s.lab, s.source, VXLAN),
        broken(ENCAP, "TunnelDeviceDown"),
        modes=TUNNELED,
    ),
    Fault(
        "tunnel-device-down-before-the-name-server",
        lambda s: devices.down(s.lab, s.source, VXLAN),
        broken(ENCAP, "TunnelDeviceDown"),
        Target.SERVICE,
        modes=TUNNELED,
    ),
    Fault(
        "tunnel-device-down-destination",
        lambda s: devices.down(s.lab, s.destination, VXLAN),
        broken(DECAP, "TunnelDeviceDown", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "from-overlay-detached-destination",
        lambda s: _detached(s, s.destination, FROM_OVERLAY),
        broken(DECAP, "ProgramMissing", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "from-overlay-detached-source",
        lambda s: _detached(s, s.source, FROM_OVERLAY),
        broken(REPLY_DECAP, "ProgramMissing"),
        modes=TUNNELED,
    ),
    Fault(
        "to-overlay-detached-source",
        lambda s: _detached(s, s.source, TO_OVERLAY),
        either(ENCAP, "ProgramMissing"),
        modes=TUNNELED,
    ),
    Fault(
        "to-overlay-detached-destination",
        lambda s: _detached(s, s.destination, TO_OVERLAY),
        either(REPLY_ENCAP, "ProgramMissing", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "from-overlay-tail-call-missing",
        lambda s: program_missing(overlay_tail_call(s.lab, s.destination, 10 if ":" in s.far.ip else 7)),
        broken(DECAP, "ProgramMissing", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "udp-8472-dropped-by-destination",
        lambda s: _dropped(s, s.destination, "INPUT"),
        broken(DECAP, "NetfilterDrops", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "udp-8472-dropped-by-source",
        lambda s: _dropped(s, s.source, "OUTPUT"),
        broken(HopName.NODE_ROUTING, "NetfilterDrops"),
        modes=TUNNELED,
    ),
    Fault(
        "udp-8472-dropped-on-the-wire",
        lambda s: network.tunnel_cut(s.source),
        lost_between(ENCAP, DECAP),
        modes=TUNNELED,
    ),
    Fault(
        "reply-udp-8472-dropped-on-the-wire",
        lambda s: network.tunnel_cut(s.destination),
        lost_between(REPLY_ENCAP, REPLY_DECAP),
        modes=TUNNELED,
    ),
    Fault(
        "large-packets-filtered",
        lambda s: _dropped(s, s.destination, "INPUT", "-m", "length", "--length", "1200:65535"),
        broken(DECAP, "NetfilterDrops", At.DESTINATION),
        Target.LARGE,
        modes=TUNNELED,
    ),
)
