"""Durations to and from seconds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.spec.durations import PATTERN, duration, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0),
        ("250ms", 0.25),
        ("60s", 60),
        ("1m30s", 90),
        ("1h1m1s1ms", 3661.001),
        ("5m5m", 600),
        ("10m5ms", 600.005),
    ],
)
def test_parts_are_summed(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5s", "-1s", "1s ", "1s\n", "1d", "100000s", "1s1s1s1s1s", "١s"]
)
def test_an_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


@given(st.from_regex(PATTERN, fullmatch=True))
def test_every_valid_duration_can_be_read(text: str) -> None:
    assert seconds(text) >= 0


@pytest.mark.parametrize(
    ("measured_s", "text"),
    [
        (0, "0ms"),
        (0.000842, "0.84ms"),
        (0.0076, "7.6ms"),
        (0.0123456, "12.3ms"),
        (0.25, "250ms"),
        (0.9999, "1000ms"),
        (1, "1s"),
        (1.2345, "1.23s"),
        (59.97, "60s"),
        (1234.5, "1234s"),
    ],
)
def test_measured_times_have_three_digits(measured_s: float, text: str) -> None:
    assert duration(measured_s) == text


@given(st.floats(min_value=0.001, max_value=60))
def test_rounding_changes_measured_times_by_at_most_half_a_percent(measured_s: float) -> None:
    written = re.fullmatch(r"([0-9.]+)(ms|s)", duration(measured_s))
    assert written
    assert float(written[1]) * (0.001 if written[2] == "ms" else 1) == pytest.approx(measured_s, rel=0.005)
