"""Routing rules, in the output of iproute2."""

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.iproute2 import links, rules

# a node whose agent has moved the rule of table local behind those of its L7 proxy
MOVED = (
    '[{"priority":9,"src":"all","fwmark":"0x200","fwmask":"0xf00","table":"2004"},'
    '{"priority":100,"src":"all","table":"local"},{"priority":32766,"src":"all","table":"main"}]\n'
)


def parsed(text: str) -> tuple[rules.Rule, ...]:
    found = rules.parse(Answer(0, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(found, Unavailable), found
    return found


def test_a_rule_selects_a_table_for_all_packets_or_those_with_a_mark() -> None:
    assert parsed(MOVED)[:2] == (rules.Rule(9, "2004", (0x200, 0xF00)), rules.Rule(100, "local"))
    assert [rule.finds_own_addresses for rule in parsed(MOVED)] == [False, True, False]


def test_a_rule_for_marked_packets_does_not_find_own_addresses() -> None:
    (rule,) = parsed('[{"priority":5,"src":"all","fwmark":"0x1","table":"local"}]')
    assert not rule.finds_own_addresses


def test_rules_without_a_table_are_left_out() -> None:
    assert parsed('[{"priority":5,"src":"10.0.0.1","action":"blackhole"}]') == ()
    assert parsed("") == ()


def test_the_devices_that_have_an_address() -> None:
    shown = '[{},{"ifindex":4,"ifname":"cilium_host","addr_info":[{},{"local":"10.244.2.197"}]},{}]\n'
    assert links.parse_holders(Answer(0, shown.encode(), b"", 0.0, 0.0)) == ("cilium_host",)
    assert links.parse_holders(Answer(0, b"[]\n", b"", 0.0, 0.0)) == ()


def test_a_route_to_an_own_address_is_local() -> None:
    shown = (
        b'[{"type":"local","dst":"10.0.0.1","dev":"lo","prefsrc":"10.0.0.1","flags":[],"cache":["local"]}]'
    )
    route = links.parse_route(Answer(0, shown, b"", 0.0, 0.0))
    assert isinstance(route, links.Route)
    assert route.to_itself
