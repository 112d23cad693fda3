"""The text of a node's rule is parsed once, and what it has counted each time."""

import pytest

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.netfilter import iptables, rule_text
from datapath_probe.sources.netfilter.rule_text import KnownRuleTexts, RuleText
from datapath_probe.sources.packet import DIVERTS
from unit.sources.worst_case import kube_proxy

DNAT = "[{}:60] -A KUBE-SEP -p tcp -j DNAT --to-destination 10.0.0.1:80"


def answer(text: str) -> Answer:
    return Answer(0, text.encode(), b"", 0.0, 0.0)


def nat(*lines: str) -> Answer:
    return answer("\n".join(("*nat", *lines, "COMMIT", "")))


def test_the_rules_of_kube_proxy_are_parsed_once_for_all_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownRuleTexts()
    parsed: list[str] = []
    of = RuleText.of

    def counted_of(table: str, line: str) -> RuleText:
        parsed.append(line)
        return of(table, line)

    monkeypatch.setattr(iptables, "_OF_NODES", known)
    monkeypatch.setattr(rule_text.RuleText, "of", counted_of)
    for counted in (0, 3, 7):
        rules = answer(kube_proxy(50).decode().replace("[0:0] -A", f"[{counted}:60] -A"))
        filters = iptables.parse_of_node(rules)
        if counted == 0:
            once = len(parsed)
        assert len(parsed) == once
        assert filters == iptables.parse(rules)
        del parsed[once:]
    assert once > 200


def test_counters_are_those_of_the_reading() -> None:
    for packets in (3, 0, 5):
        filters = iptables.parse_of_node(nat(":KUBE-SEP - [0:0]", DNAT.format(packets)))
        assert not isinstance(filters, Unavailable)
        rules = filters["nat", "KUBE-SEP"].rules
        assert [(rule.loss.packets, rule.loss.does) for rule in rules if rule.loss] == (
            [(packets, DIVERTS)] if packets else []
        )
        assert len(rules) == bool(packets)


def test_a_jump_is_one_where_its_chain_exists() -> None:
    jump, chain = "[1:60] -A PREROUTING -j ACCEPT", ":ACCEPT - [0:0]"
    for chains in ((chain,), (), (chain,)):
        filters = iptables.parse_of_node(nat(":PREROUTING ACCEPT [0:0]", *chains, jump))
        assert not isinstance(filters, Unavailable)
        [rule] = filters["nat", "PREROUTING"].rules
        assert bool(rule.target) is bool(chains)


def test_equal_texts_of_two_tables_differ() -> None:
    text = "\n".join((":PREROUTING ACCEPT [0:0]", DNAT.format(1).replace("KUBE-SEP", "PREROUTING"), ""))
    filters = iptables.parse_of_node(answer(f"*nat\n{text}COMMIT\n*mangle\n{text}COMMIT\n"))
    assert not isinstance(filters, Unavailable)
    assert len(filters["nat", "PREROUTING"].rules) == 1
    assert not filters["mangle", "PREROUTING"].rules


def test_a_rule_of_an_unknown_chain_is_an_error() -> None:
    assert isinstance(iptables.parse_of_node(nat("[1:60] -A NOWHERE -j DROP")), Unavailable)


def test_known_texts_take_a_bounded_amount_of_memory() -> None:
    known = KnownRuleTexts(limit_bytes=100_000)
    most = 0
    for number in range(1_000):
        known.get("filter", f"INPUT -s 10.0.{number // 256}.{number % 256}/32 -j DROP")
        most = max(most, len(known._known))
    assert 50 < most < 200
    assert known.get("filter", "INPUT -j DROP") is known.get("filter", "INPUT -j DROP")


def test_rules_of_pods_do_not_become_known(monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownRuleTexts()
    monkeypatch.setattr(iptables, "_OF_NODES", known)
    iptables.parse(answer(kube_proxy(5).decode()))
    assert not known._known
