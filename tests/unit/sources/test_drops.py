"""Drop reasons, and the counters that contain them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.agent import bpf_metrics
from datapath_probe.sources.agent.bpf_metrics import Counter
from datapath_probe.sources.drop_reasons import DROP_REASONS, FIRST_DROP, code_of, describe
from unit.sources.golden import answer, fact, printed


@pytest.mark.parametrize("code", range(FIRST_DROP, 208))
def test_a_drop_is_found_by_its_code_and_by_its_text(code: int) -> None:
    assert code_of(describe(code)) == code
    assert code_of(f"{describe(code)}, -3") == code
    assert (describe(code) == str(code)) == (code == 159)


def test_each_text_belongs_to_one_code() -> None:
    assert len(set(DROP_REASONS.values())) == len(DROP_REASONS)


@pytest.mark.parametrize(
    ("printed_reason", "code"),
    [
        ("159, 0", 159),
        ("FIB lookup failed, 4", 169),
        ("Unsupported protocol for NAT masquerade", 168),
        ("250, 0", 250),  # of a future version
        ("Success", None),
        ("Interface", None),
        ("15, 0", None),
        ("256", None),
        ("", None),
    ],
)
def test_reasons_as_they_are_printed(printed_reason: str, code: int | None) -> None:
    assert code_of(printed_reason) == code


@given(st.text())
def test_any_text_is_a_code_or_none(text: str) -> None:
    assert code_of(text) is None or code_of(text) in range(FIRST_DROP, 256)


def test_the_counters_of_a_live_node() -> None:
    assert bpf_metrics.fact("node2") == fact("bpf_metrics", "counters")
    counters = bpf_metrics.parse(answer("bpf_metrics", "counters"))
    assert isinstance(counters, tuple)
    assert {(counter.reason, counter.drop_code) for counter in counters} >= {
        ("Success", None),
        ("Interface", None),
        ("Policy denied", 133),
        ("Unsupported L3 protocol", 139),
    }
    sent = [(c.file, c.direction) for c in counters if c.file == "encap.h"]
    received = [(c.file, c.direction) for c in counters if c.file == "bpf_overlay.c"]
    assert ("encap.h", "egress") in sent
    assert ("bpf_overlay.c", "ingress") in received


def test_a_counter_has_its_place_and_its_numbers() -> None:
    row = '[{"reason":"Success","direction":"ingress","packets":73076,"bytes":30096801,"line":2041,"file":"bpf_lxc.c"}]'
    assert bpf_metrics.parse(printed(row)) == (
        Counter("Success", "ingress", file="bpf_lxc.c", line=2041, packets=73076, bytes=30096801),
    )


def test_an_empty_list_of_counters_is_an_answer() -> None:
    assert bpf_metrics.parse(printed("", stderr="No entries found.\n")) == ()
    silent = bpf_metrics.parse(printed(""))
    assert isinstance(silent, Unavailable)
    assert silent.reason == EvidenceError.UNPARSABLE
