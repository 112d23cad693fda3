"""Packet capture on request: the dump of exercise 6, of this probe's connection, once per request."""

from e2e import processes
from e2e.api import Object
from e2e.galaxy import Galaxy
from e2e.probes import RUN_S, Probe, Probes
from e2e.specs import to_pod
from e2e.waiting import until

CAPTURE = "datapath-probe.dev/capture"


def captured(probe: Probe, value: str) -> Object:
    probe.api.patch(probe.path, {"metadata": {"annotations": {CAPTURE: value}}})
    return probe.wait(f"capture {value}", lambda status: status.get("lastHandledCapture") == value, 2 * RUN_S)


def test_a_capture_has_outer_and_inner_headers_on_both_nodes_and_leaves_no_process(
    galaxy: Galaxy, probes: Probes
) -> None:
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    probe = probes.create("capture", to_pod("xwing", star))
    assert "capture" not in probe.settle()

    status = captured(probe, "please")
    capture, request = status["capture"], status["paths"][0]["request"]
    assert capture["errors"] == []
    client, server = f"{ship.ip}:{request['localPort']}", f"{star.ip}:80"
    ends = {(packet["source"], packet["destination"]) for packet in capture["packets"]}
    assert ends == {(client, server), (server, client)}
    assert {packet["node"] for packet in capture["packets"]} == {ship.node, star.node}
    tunneled = [packet for packet in capture["packets"] if "vni" in packet]
    assert {(packet["source"], packet["vni"]) for packet in tunneled} == {
        (client, ship.identity),
        (server, star.identity),
    }
    assert {packet["encapsulation"] for packet in tunneled} == {"vxlan"}
    assert "SYN" in {packet["flags"] for packet in tunneled if packet["direction"] == "in"}

    def sniffers() -> list[str]:
        return [line for line in processes.in_agents(galaxy.lab) if "perl" in line]

    until("no capture runs any more", lambda: not sniffers(), RUN_S, otherwise=sniffers)
    again = probe.run_now()
    assert again["capture"] == capture  # a later run captures nothing and keeps the capture
