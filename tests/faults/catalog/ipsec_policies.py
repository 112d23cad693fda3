"""IPsec policies that drop plain packets, on nodes and in pods; and policies for other packets."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken, healthy
from faults.inject import xfrm
from faults.modes import ALL_MODES, TUNNELED, Mode
from faults.scene import CONTROL_PLANE, Scene, Target

DROPS = "XfrmPolicyDrops"
NATIVE = frozenset({Mode.NATIVE})
DECAP, REPLY_DECAP = HopName.OVERLAY_DECAPSULATION, HopName.REPLY_DECAPSULATION
ROUTING, REPLY_ROUTING = HopName.NODE_ROUTING, HopName.REPLY_ROUTING
_TUNNEL = ("proto", "udp", "dport", "8472")
_TEMPLATE = ("proto", "esp", "reqid", "1", "mode", "tunnel")


def _requests(scene: Scene) -> tuple[str, ...]:
    return (
        "src",
        f"{scene.node_ip(scene.source)}/32",
        "dst",
        f"{scene.node_ip(scene.destination)}/32",
        *_TUNNEL,
    )


def _replies(scene: Scene) -> tuple[str, ...]:
    return (
        "src",
        f"{scene.node_ip(scene.destination)}/32",
        "dst",
        f"{scene.node_ip(scene.source)}/32",
        *_TUNNEL,
    )


def _between_pods(scene: Scene) -> tuple[str, ...]:
    return "src", f"{scene.ship.ip}/32", "dst", f"{scene.far.ip}/32"


def _encrypting(scene: Scene) -> tuple[str, ...]:
    """A transformation between the nodes, for which there is no state."""
    return "tmpl", "src", scene.node_ip(scene.source), "dst", scene.node_ip(scene.destination), *_TEMPLATE


FAULTS = (
    Fault(
        "ipsec-policy-blocks-what-arrives",
        lambda s: xfrm.policy(s.lab, s.destination, *_requests(s), "dir", "in"),
        broken(DECAP, DROPS, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "ipsec-policy-wants-encryption-of-what-arrives",
        lambda s: xfrm.policy(s.lab, s.destination, *_requests(s)[:4], "dir", "in", then=_encrypting(s)),
        broken(DECAP, DROPS, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "ipsec-policy-blocks-what-leaves",
        lambda s: xfrm.policy(s.lab, s.source, *_requests(s), "dir", "out"),
        broken(ROUTING, DROPS),
        modes=TUNNELED,
    ),
    Fault(
        "ipsec-policy-without-a-state",
        lambda s: xfrm.policy(s.lab, s.source, *_requests(s), "dir", "out", then=_encrypting(s)),
        broken(ROUTING, DROPS),
        modes=TUNNELED,
    ),
    Fault(
        "ipsec-policy-blocks-replies",
        lambda s: xfrm.policy(s.lab, s.destination, *_replies(s), "dir", "out"),
        broken(REPLY_ROUTING, DROPS, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "ipsec-policy-blocks-replies-that-arrive",
        lambda s: xfrm.policy(s.lab, s.source, *_replies(s), "dir", "in"),
        broken(REPLY_DECAP, DROPS),
        modes=TUNNELED,
    ),
    Fault(
        "ipsec-policy-blocks-what-the-source-node-forwards",
        lambda s: xfrm.policy(s.lab, s.source, *_between_pods(s), "dir", "fwd"),
        broken(ROUTING, DROPS),
        modes=NATIVE,
    ),
    Fault(
        "ipsec-policy-blocks-what-the-destination-node-forwards",
        lambda s: xfrm.policy(s.lab, s.destination, *_between_pods(s), "dir", "fwd"),
        broken(ROUTING, DROPS, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "ipsec-policy-blocks-what-arrives-in-the-pod",
        lambda s: xfrm.policy_in_pod(s.lab, s.far, *_between_pods(s), "dir", "in"),
        broken(HopName.DESTINATION_INTERFACE, DROPS, At.DESTINATION),
        modes=ALL_MODES,
    ),
    Fault(
        "ipsec-policy-blocks-what-leaves-the-pod",
        lambda s: xfrm.policy_in_pod(s.lab, s.ship, *_between_pods(s), "dir", "out"),
        broken(HopName.SOURCE_INTERFACE, DROPS),
        modes=ALL_MODES,
    ),
    Fault(
        "ipsec-policy-blocks-what-a-host-sends",
        lambda s: xfrm.policy(s.lab, s.source, "dst", f"{s.far.ip}/32", "proto", "tcp", "dir", "out"),
        broken(ROUTING, DROPS),
        Target.FROM_HOST_TO_FAR,
        modes=ALL_MODES,
    ),
    Fault(
        "healthy-beside-ipsec-policies-for-other-packets",
        lambda s: xfrm.policy(
            s.lab, s.destination, "src", f"{s.node_ip(CONTROL_PLANE)}/32", *_TUNNEL[:3], "9999", "dir", "in"
        ),
        healthy(),
        modes=ALL_MODES,
    ),
    Fault(
        "healthy-beside-an-ipsec-policy-for-marked-packets",
        lambda s: xfrm.policy(s.lab, s.source, *_requests(s), "dir", "out", "mark", "0xe00", "mask", "0xf00"),
        healthy(),
        modes=TUNNELED,
    ),
)
