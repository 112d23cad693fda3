"""Packet loss that is hard to see: complex netfilter rules, classic BPF filters, slow qdiscs, an application that
accepts no connections.
"""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject import application, devices, foreign_programs, netfilter
from faults.inject.in_place import Injected
from faults.modes import ALL_MODES, TUNNELED, Mode
from faults.scene import Scene, Target

DESTINATION, RESPONSE = HopName.DESTINATION_INTERFACE, HopName.DESTINATION_RESPONSE
DROPS = "NetfilterDrops"
PER_POD = frozenset(
    {Mode.VXLAN, Mode.NATIVE}
)  # in other modes a Cilium program ends the chain there, or bypasses the device
UPLINK = frozenset({Mode.VXLAN})
_RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")
_TUNNEL = ("-p", "udp", "--dport", "8472")

# Responds until a request from inside the pod (the readiness check); then accepts no connections, with a full backlog.
_TAKES_NONE = """
import socket, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 80))
server.listen(0)
while True:
    client, (address, _) = server.accept()
    client.recv(9999)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 4\\r\\n\\r\\nfine")
    client.close()
    if address == "127.0.0.1":
        break
waiting = [socket.socket() for _ in range(3)]
for one in waiting:
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 80))
time.sleep(600)
"""


def _in_far(
    scene: Scene, chain: str, *words: str, table: str = "filter", program: str = "iptables"
) -> Injected:
    return netfilter.rule_in_pod(scene.lab, scene.far, chain, *words, table=table, program=program)


def _inside(name: str, *words: str, chain: str = "INPUT") -> Fault:
    """A rule in the destination pod."""
    return Fault(name, lambda s: _in_far(s, chain, *words), broken(DESTINATION, DROPS, At.DESTINATION))


FAULTS = (
    _inside("rule-by-ports-rejects-inside", "-p", "tcp", "-m", "multiport", "--dports", "80,443", *_RESET),
    _inside("rule-by-state-drops-inside", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "DROP"),
    _inside("rule-by-flags-drops-inside", "-p", "tcp", "--dport", "80", "--syn", "-j", "DROP"),
    _inside("rule-by-flags-drops-data-inside", "-p", "tcp", "--tcp-flags", "PSH", "PSH", "-j", "DROP"),
    _inside("rule-by-flags-drops-answers-inside", "-p", "tcp", "--sport", "80", "-j", "DROP", chain="OUTPUT"),
    _inside(
        "rule-by-contents-drops-inside",
        *("-p", "tcp", "-m", "string", "--string", "HTTP", "--algo", "bm"),
        "-j",
        "DROP",
    ),
    _inside(
        "rule-by-connections-rejects-inside",
        "-p",
        "tcp",
        "-m",
        "connlimit",
        "--connlimit-above",
        "0",
        *_RESET,
    ),
    Fault(
        "rule-redirects-inside",
        lambda s: _in_far(
            s, "PREROUTING", "-p", "tcp", "--dport", "80", "-j", "REDIRECT", "--to-ports", "81", table="nat"
        ),
        broken(DESTINATION, DROPS, At.DESTINATION),
    ),
    Fault(
        "rule-of-another-backend-inside",
        lambda s: _in_far(s, "INPUT", "-p", "tcp", "--dport", "80", "-j", "DROP", program="iptables-legacy"),
        broken(DESTINATION, DROPS, At.DESTINATION),
    ),
    Fault(
        "rule-by-length-drops-the-tunnel",
        lambda s: netfilter.rule(
            s.lab, s.destination, "INPUT", *_TUNNEL, "-m", "length", "--length", "40:65535", "-j", "DROP"
        ),
        broken(HopName.OVERLAY_DECAPSULATION, DROPS, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "classic-filter-on-the-destinations-device",
        lambda s: foreign_programs.classic_filter_on(s.lab, s.destination, s.lxc(s.far), "egress"),
        broken(DESTINATION, DROPS, At.DESTINATION),
        modes=PER_POD,
    ),
    Fault(
        "classic-filter-inside-the-destination",
        lambda s: foreign_programs.classic_filter_on(
            s.lab, s.destination, "eth0", "ingress", inside=devices.netns(s.lab, s.far)
        ),
        broken(DESTINATION, DROPS, At.DESTINATION),
        modes=ALL_MODES,
    ),
    Fault(
        "classic-filter-on-the-source-nodes-device",
        lambda s: foreign_programs.classic_filter_on(s.lab, s.source, "eth0", "egress"),
        broken(HopName.NODE_ROUTING, DROPS),
        modes=UPLINK,
    ),
    Fault(
        "queue-holds-back-what-goes-to-the-destination",
        lambda s: devices.slow_qdisc(s.lab, s.destination, s.lxc(s.far)),
        broken(DESTINATION, "QdiscDrops", At.DESTINATION),
        modes=UPLINK,  # elsewhere packets may bypass the device
    ),
    Fault(
        "takes-no-connections",
        lambda s: application.replaced(s.galaxy, s.far, _TAKES_NONE),
        broken(RESPONSE, "NoResponse", At.DESTINATION),
    ),
    Fault(
        "takes-no-connections-same-node",
        lambda s: application.replaced(s.galaxy, s.near, _TAKES_NONE),
        broken(RESPONSE, "NoResponse"),
        Target.NEAR,
    ),
)
