"""Which names a selector of `toFQDNs` is for, as Cilium matches them."""

import pytest

from datapath_probe.sources.agent.fqdn_selector import is_for

HOST = "www.outside.test"


def by_name(name: str) -> str:
    return f"MatchName: {name}, MatchPattern: "


def by_pattern(pattern: str) -> str:
    return f"MatchName: , MatchPattern: {pattern}"


@pytest.mark.parametrize("written", [HOST, f"{HOST}.", "WWW.outside.test"])
def test_a_name_is_matched_in_any_spelling(written: str) -> None:
    assert is_for(by_name(written), HOST)


@pytest.mark.parametrize(
    "pattern",
    [
        *("*", "*.outside.test", "www.*.test", "w*w.outside.test", "www.outside.test.", "www*.outside.test"),
        *("**.outside.test", "**.test"),
    ],
)
def test_a_pattern_that_matches(pattern: str) -> None:
    assert is_for(by_pattern(pattern), HOST)


@pytest.mark.parametrize(
    "selector",
    [
        *(by_name("outside.test"), by_name("www.other.test"), by_pattern("*.test"), by_pattern("*.*")),
        *(
            by_pattern("**.www.outside.test"),
            by_pattern("ww.outside.test"),
            by_pattern("*.a.www.outside.test"),
        ),
        by_pattern("**.a.www.outside.test"),
        "&LabelSelector{MatchLabels:map[string]string{reserved.world: ,},MatchExpressions:[],}",
        "",
    ],
)
def test_other_selectors(selector: str) -> None:
    assert not is_for(selector, HOST)
