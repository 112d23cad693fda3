"""What programs can return, from their code: recorded instructions in bpftool's format, and some written here."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.bpf import bpf_returns
from datapath_probe.sources.bpf.bpf_returns import Values, taken
from datapath_probe.sources.bpf.bpftool import AttachKind

RECORDED = json.loads((Path(__file__).parents[3] / "data/programs/linux-6.18.json").read_text())
NEXT, SHOT = 0xFFFFFFFF, 2


def returned(*code: str) -> Values | Unavailable:
    shown = json.dumps([{"disasm": text} for text in code]).encode()
    return bpf_returns.parse(Answer(0, shown, b"", 0.0, 0.0))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tc-watches", [NEXT]),
        ("tc-drops-some", [NEXT, SHOT]),
        ("tc-drops-half", [NEXT, SHOT]),
        ("xdp-drops-some", [1, 2]),
    ],
)
def test_recorded_programs_return_the_values_of_their_source(name: str, values: list[int]) -> None:
    assert returned(*RECORDED[name]) == frozenset(values)


def test_a_constant_is_followed_through_registers_and_calls() -> None:
    code = ("(b7) r6 = 0", "(85) call bpf_trace_printk#6", "(bf) r0 = r6", "(95) exit")
    assert returned(*code) == frozenset({0})


@pytest.mark.parametrize(
    "code",
    [
        ("(85) call bpf_redirect#23", "(95) exit"),
        ("(b7) r0 = 0", "(07) r0 += 1", "(95) exit"),
        ("(61) r0 = *(u32 *)(r1 +0)", "(95) exit"),
        ("(85) call bpf_tail_call#12", "(b7) r0 = 0", "(95) exit"),
    ],
)
def test_a_computed_or_received_value_can_be_anything(code: tuple[str, ...]) -> None:
    assert returned(*code) is None


def test_a_loop_ends() -> None:
    assert returned("(b7) r0 = 0", "(55) if r1 != 0x0 goto pc-2", "(95) exit") == frozenset({0})


def test_a_jump_out_of_the_code_is_unparsable() -> None:
    assert isinstance(returned("(05) goto pc+7", "(95) exit"), Unavailable)


def test_only_verdicts_that_stop_a_packet_are_returned() -> None:
    every = frozenset({NEXT, 0, SHOT})
    assert taken(every, AttachKind.TCX, before_another=False) == frozenset({SHOT})
    assert taken(every, AttachKind.TCX, before_another=True) == frozenset({0, SHOT})
    assert taken(frozenset({1, 2}), AttachKind.XDP, before_another=True) == frozenset({1})
    assert taken(None, AttachKind.TC, before_another=False) is None


@given(st.lists(st.sampled_from(["(b7) r0 = 2", "(05) goto pc-1", "(95) exit", "(18) r0 = map[id:3]", ""])))
def test_the_evaluation_of_any_code_ends(code: list[str]) -> None:
    returned(*code)
