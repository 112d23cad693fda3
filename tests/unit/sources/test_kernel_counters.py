"""Counters of the kernel (recorded)."""

import json
from pathlib import Path

import pytest

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources import kernel_counters
from datapath_probe.sources.kernel_counters import Counters

RECORDED = json.loads((Path(__file__).parents[2] / "data/xfrm/linux-6.18.json").read_text())
PRINTED: str = RECORDED["blocks-arriving"]["counters"]


def counters(text: str, code: int = 0) -> Counters:
    found = kernel_counters.parse(Answer(code, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(found, Unavailable), found
    return found


def test_each_protocol_and_ipsec_has_its_counters() -> None:
    found = counters(PRINTED)
    assert found["XfrmInPolBlock"] == 2
    assert found["Udp.InErrors"] == 2
    assert {"Tcp.InCsumErrors", "TcpExt.ListenDrops", "IpExt.InCsumErrors"} <= found.keys()


def test_a_kernel_without_ipsec_has_the_others() -> None:
    found = counters("".join(line for line in PRINTED.splitlines(True) if not line.startswith("Xfrm")), 1)
    assert "Tcp.OutRsts" in found
    assert not any(name.startswith("Xfrm") for name in found)


def test_only_counters_that_rose_are_in_the_difference() -> None:
    before, after = {"a": 1, "b": 2, "c": 9}, {"a": 1, "b": 5, "d": 3, "c": 4}
    assert kernel_counters.rise(before, after) == {"b": 3}


@pytest.mark.parametrize(
    "text", ["", "Tcp: A B\nTcp: 1\n", "XfrmInError\n", "XfrmInError x\n", "Tcp: A\nTcp: x\n"]
)
def test_other_output_is_unparsable(text: str) -> None:
    assert isinstance(kernel_counters.parse(Answer(0, text.encode(), b"", 0.0, 0.0)), Unavailable)
