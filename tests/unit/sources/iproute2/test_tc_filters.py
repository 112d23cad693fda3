"""Filters of tc that are no eBPF programs, as iproute2 prints them."""

import json
from typing import Any

import pytest

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.iproute2 import tc_filters

Shown = dict[str, Any]
RETURN, RETURN_ACCUMULATOR = 6, 0x16
NEXT, DROP = 0xFFFFFFFF, 2


def printed(*filters: Shown) -> str:
    """Each behind the head of its preference, as tc shows it."""
    shown: list[Shown] = []
    for one in filters:
        shown += [{key: one[key] for key in one if key != "options"}, one]
    return json.dumps(shown)


def filter_(kind: str, preference: int = 7, **options: object) -> Shown:
    return {"protocol": "all", "pref": preference, "kind": kind, "chain": 0, "options": options}


def classic(*returns: tuple[int, int], direct: bool = True) -> Shown:
    insns = [{"code": 40, "jt": 0, "jf": 0, "k": 12}]
    insns += [{"code": code, "jt": 0, "jf": 0, "k": value} for code, value in returns]
    code = {"length": len(insns), "insns": insns}
    return filter_("bpf") | {"options": {"handle": "0x1", "direct-action": direct, "bytecode": code}}


def acting(kind: str, packets: int | None = 3, control: str = "pipe", **more: object) -> Shown:
    """A filter with one action; `packets`: that it has met, None where that is not shown."""
    stats = {} if packets is None else {"stats": {"bytes": 99, "packets": packets, "drops": packets}}
    action = {"order": 1, "kind": kind, "control_action": {"type": control}, **more, **stats}
    return filter_("flower", keys={"eth_type": "ipv4"}, actions=[action])


def does(*filters: Shown) -> list[str]:
    found = tc_filters.parse(Answer(0, printed(*filters).encode(), b"", 0.0, 0.0))
    assert not isinstance(found, Unavailable), found
    return [one.does for one in found]


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (classic((RETURN, NEXT), (RETURN, DROP)), "drops or redirects packets"),
        (classic((RETURN_ACCUMULATOR, 0)), "drops or redirects packets"),
        (acting("gact", control="drop"), "stops packets (gact drop)"),
        (acting("gact", None, control="drop"), "stops packets (gact drop)"),
        (
            acting("mirred", control="stolen", mirred_action="redirect", to_dev="dummy0"),
            "redirects packets to dummy0",
        ),
        (acting("police"), "stops packets (police pipe)"),
        (acting("pedit"), "changes packets (pedit)"),
    ],
)
def test_a_filter_that_takes_packets_is_told(shown: Shown, told: str) -> None:
    assert does(shown) == [told]


@pytest.mark.parametrize(
    "shown",
    [
        classic((RETURN, NEXT), (RETURN, 0)),
        classic((RETURN, DROP), direct=False),  # a class, and nothing is done to it
        acting("gact", control="pass"),
        acting("gact", 0, control="drop"),  # has met nothing
        acting("police", 0),
        acting("mirred", mirred_action="mirror", to_dev="dummy0"),
        filter_("u32", fh="800:", ht_divisor=1),
        filter_("bpf", bpf_name="watcher", prog={"id": 7}),  # eBPF
    ],
)
def test_a_filter_that_lets_packets_pass_is_not(shown: Shown) -> None:
    assert does(shown) == []


def test_behind_ciliums_own_program_no_filter_is_met() -> None:
    own = filter_("bpf", bpf_name="cil_from_container-lxc1", prog={"id": 7})
    assert does(own, classic((RETURN, DROP))) == []
    assert does(classic((RETURN, DROP)), own) != []


def test_no_filter_is_none_and_garbage_no_evidence() -> None:
    assert tc_filters.parse(Answer(0, b"", b"", 0.0, 0.0)) == ()
    assert isinstance(tc_filters.parse(Answer(0, b'[{"options": 3}]', b"", 0.0, 0.0)), Unavailable)
