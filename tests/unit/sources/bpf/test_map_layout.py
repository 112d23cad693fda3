"""The names of maps in each version of Cilium."""

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.bpf import map_layout
from datapath_probe.sources.bpf.map_layout import Layout
from unit.sources.golden import printed


@pytest.mark.parametrize(
    ("said", "ipcache", "policy"),
    [
        ("cilium-agent 1.16.19 a1b2c3d 2025-01-01T00:00:00+00:00 go version go1.22.12 linux/amd64", "", ""),
        ("cilium-agent 1.17.0 c2bbf787 2025-01-01T00:00:00+00:00 go version go1.23.4 linux/arm64", "", "_v2"),
        ("cilium-agent 1.18.5 lab 1970-01-01 go version go1.26.8 linux/amd64", "_v2", "_v2"),
        ("cilium-agent 1.19.0-rc.1 x 2026-01-01 go version go1.25 linux/amd64", "_v2", "_v2"),
        ("cilium-agent 1.20.2-dev x 2026-01-01 go version go1.26 linux/amd64", "_v2", "_v3"),
    ],
)
def test_each_version_has_its_maps(said: str, ipcache: str, policy: str) -> None:
    version = said.split()[1]
    expected = Layout(version, f"cilium_ipcache{ipcache}", f"cilium_policy{policy}")
    assert map_layout.parse(printed(f"{said}\n")) == expected


@pytest.mark.parametrize(
    "said", ["cilium-agent 1.15.19 x", "cilium-agent 1.21.0 x", "cilium-agent  lab x", ""]
)
def test_an_unsupported_version_is_reported(said: str) -> None:
    unknown = map_layout.parse(printed(said))
    assert isinstance(unknown, Unavailable)
    assert unknown.reason == EvidenceError.UNSUPPORTED_VERSION
    assert unknown.message.endswith(said or "nothing")
    assert "1.16 to 1.20" in unknown.message
