"""Numbers of answers that facts are built from have the size of the kernel's and Cilium's fields."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Reading, Unavailable
from datapath_probe.sources.agent import agent_config, agent_endpoint
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.flows import hubble
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.parsing import Json
from unit.sources.golden import printed

ENDPOINT = {
    "id": 7,
    "status": {
        "state": "ready",
        "identity": {"id": 9},
        "networking": {
            "addressing": [{"ipv4": "10.0.0.1"}],
            "interface-name": "lxc1",
            "interface-index": 3,
            "mac": "",
            "host-mac": "",
        },
    },
}
LINK = {"ifindex": 2, "ifname": "eth0", "mtu": 1500, "flags": [], "address": "", "operstate": "UP"}
PROGRAM = {"id": 1, "name": "x", "type": "sched_cls", "tag": "", "map_ids": [1]}
TC = {"devname": "eth0", "ifindex": 2, "kind": "tcx/ingress", "name": "x", "prog_id": 5}
FLOW = {
    "l4": {"TCP": {"source_port": 1, "destination_port": 2}},
    "source": {"identity": 3},
    "time": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("parse", "document", "path", "bits"),
    [
        (agent_endpoint.parse, ENDPOINT, ("id",), 16),
        (agent_endpoint.parse, ENDPOINT, ("status", "identity", "id"), 32),
        (agent_endpoint.parse, ENDPOINT, ("status", "networking", "interface-index"), 32),
        (links.parse_link, LINK, ("ifindex",), 32),
        (links.parse_link, LINK, ("mtu",), 32),
        (bpftool.parse_map_id, {"id": 1}, ("id",), 32),
        (bpftool.parse_prog, PROGRAM, ("id",), 32),
        (bpftool.parse_prog, PROGRAM, ("map_ids", 0), 32),
        (bpftool.parse_attached, {"xdp": [], "tc": [TC]}, ("tc", 0, "prog_id"), 32),
        (bpftool.parse_attached, {"xdp": [], "tc": [TC]}, ("tc", 0, "ifindex"), 32),
        (bpftool.parse_link, {"id": 1, "prog_id": 2}, ("prog_id",), 32),
        (hubble.parse, {"flow": FLOW}, ("flow", "l4", "TCP", "source_port"), 16),
        (hubble.parse, {"flow": FLOW}, ("flow", "source", "identity"), 32),
    ],
)
def test_a_number_that_does_not_fit_is_unparsable(
    parse: Callable[[Reading], object], document: Any, path: tuple[Any, ...], bits: int
) -> None:
    for number, fits in (
        (0, True),
        ((1 << bits) - 1, True),
        (1 << bits, False),
        (-1, False),
        (10**30, False),
    ):
        parsed = parse(printed(json.dumps(_with(document, path, number))))
        assert isinstance(parsed, Unavailable) is not fits, (number, parsed)
        if isinstance(parsed, Unavailable):
            assert parsed.reason == EvidenceError.UNPARSABLE


def _with(document: Any, path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    key, *rest = path
    copy = list(document) if isinstance(document, list) else dict(document)
    copy[key] = _with(document[key], tuple(rest), value)
    return copy


def test_a_device_name_of_an_attachment_can_be_asked_for() -> None:
    for name in ("../eth0", "-h", "a b", ""):
        shown = {"xdp": [], "tc": [{**TC, "devname": name}]}
        assert isinstance(bpftool.parse_attached(printed(json.dumps(shown))), Unavailable), name


def test_any_other_integer_has_64_bits() -> None:
    assert Json((1 << 64) - 1).integer() == (1 << 64) - 1
    for number in (1 << 64, -(1 << 63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            Json(number).integer()


@pytest.mark.parametrize("port", ["0", "70000", "9" * 5000, "-1", "٣", "port"])
def test_an_invalid_port_in_the_configuration_is_the_default(port: str) -> None:
    assert agent_config.from_config_map({"tunnel-port": port}).tunnel_port == 8472


def test_an_invalid_socket_in_the_configuration_is_the_default() -> None:
    for path in ("", "x", "/a\nb", "/" * 5000):
        assert hubble.socket_path({"hubble-socket-path": path}) == hubble.SOCKET
    assert hubble.socket_path({"hubble-socket-path": "unix:///run/h.sock"}) == "/run/h.sock"
