"""Characters without a glyph are made visible, and nothing else is changed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.visible import visible


@pytest.mark.parametrize("text", ["", "plain → text, é 星 🚀", "[/x] [bold]", "a\\b", "100 % {x}"])
def test_text_with_glyphs_alone_is_unchanged(text: str) -> None:
    assert visible(text) is text


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x00\t\r\n\x7f", r"\x00\t\r\n\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb", r"a\u202eb"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("a\u200b\u200d\ufeffb", r"a\u200b\u200d\ufeffb"),
        ("\ud800", r"\ud800"),
        ("\u2028\u00a0\u3164\ufe0f", r"\u2028\xa0\u3164\ufe0f"),
        ("\U000e0041", r"\U000e0041"),
        ("\u180b\u2800\U000e0100", r"\u180b\u2800\U000e0100"),
    ],
)
def test_what_has_no_glyph_is_an_escape(hidden: str, shown: str) -> None:
    assert visible(hidden) == shown


def test_characters_to_keep_stay() -> None:
    assert visible("one\n\ttwo\x1b", keep="\n\t") == "one\n\ttwo\\x1b"


@given(st.text(st.characters(exclude_categories=[])))
def test_the_result_is_printable_and_stays_the_same(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert not any(unicodedata.category(char)[0] == "C" for char in shown)
    assert visible(shown) == shown
