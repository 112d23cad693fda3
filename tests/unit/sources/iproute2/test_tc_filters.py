"""tc filters that are not eBPF programs, in the output of iproute2."""

import json
from typing import Any

import pytest

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.iproute2 import tc_filters

Shown = dict[str, Any]
RETURN, RETURN_ACCUMULATOR = 6, 0x16
NEXT, DROP = 0xFFFFFFFF, 2


def printed(*filters: Shown) -> str:
    """Each filter after the head of its preference, as in tc's output."""
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
    """A filter with one action; `packets`: those that it has matched, None if not shown."""
    stats = {} if packets is None else {"stats": {"bytes": 99, "packets": packets, "drops": packets}}
    action = {"order": 1, "kind": kind, "control_action": {"type": control}, **more, **stats}
    return filter_("flower", keys={"eth_type": "ipv4"}, actions=[action])


def does(*filters: Shown) -> list[str]:
    found = tc_filters.parse(Answer(0, printed(*filters).encode(), b"", 0.0, 0.0))
    assert not isinstance(found, Unavailable), found
    return [one.does for one in found]


@pytest.mark.parametrize(
    ("shown", "effect"),
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
def test_a_filter_that_stops_or_changes_packets_is_reported(shown: Shown, effect: str) -> None:
    assert does(shown) == [effect]


@pytest.mark.parametrize(
    "shown",
    [
        classic((RETURN, NEXT), (RETURN, 0)),
        classic((RETURN, DROP), direct=False),  # sets a class, without an action
        acting("gact", control="pass"),
        acting("gact", 0, control="drop"),  # has matched nothing
        acting("police", 0),
        acting("mirred", mirred_action="mirror", to_dev="dummy0"),
        filter_("u32", fh="800:", ht_divisor=1),
        filter_("bpf", bpf_name="watcher", prog={"id": 7}),  # eBPF
    ],
)
def test_a_filter_that_lets_packets_pass_is_not_reported(shown: Shown) -> None:
    assert does(shown) == []


def test_filters_after_ciliums_own_program_are_ignored() -> None:
    own = filter_("bpf", bpf_name="cil_from_container-lxc1", prog={"id": 7})
    assert does(own, classic((RETURN, DROP))) == []
    assert does(classic((RETURN, DROP)), own) != []


def test_empty_output_means_no_filter_and_garbage_is_unavailable() -> None:
    assert tc_filters.parse(Answer(0, b"", b"", 0.0, 0.0)) == ()
    assert isinstance(tc_filters.parse(Answer(0, b'[{"options": 3}]', b"", 0.0, 0.0)), Unavailable)
