"""The evaluation of rules that may or may not match, compared with every possible case."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.netfilter.rule_walk import Action, Chain, Fate, Key, Rule, first_loss
from datapath_probe.sources.packet import DROPS, REDIRECTS, Loss, Match, Packet

PACKET = Packet("tcp", ip_address("10.0.1.2"), ip_address("10.0.2.3"), 80, 40101, frozenset({"eth0"}))
BASE, GUARD, DEEP = ("t", "INPUT"), ("t", "GUARD"), ("t", "DEEP")
POLICY = Loss("t", "policy", None)

Conditions = str  # name of a rule that may or may not match
Rules = list[Rule[Conditions]]


def lost(name: str, does: str = DROPS, *, certain: bool = True) -> Loss:
    return Loss("t", name, 1, does, certain)


def drop(name: str, *, despite_doubt: bool = False) -> Rule[Conditions]:
    return Rule(name, Action.LOSE, loss=lost(name), despite_doubt=despite_doubt)


def accept(name: str, *, by_mark: bool = False) -> Rule[Conditions]:
    return Rule(name, Action.ACCEPT, by_mark=by_mark)


def chains(
    base: Rules, guard: Rules | None = None, policy: Loss | None = None
) -> dict[Key, Chain[Conditions]]:
    return {BASE: Chain("INPUT", policy=policy, rules=base), GUARD: Chain(rules=guard or [])}


def walked(
    found: Mapping[Key, Chain[Conditions]],
    *,
    unknown: str = "",
    packet: Packet = PACKET,
    translated: bool = False,
) -> Loss | None:
    def match_rule(rule: Rule[Conditions]) -> Match:
        return Match.UNKNOWN if rule.conditions in unknown.split() else Match.YES

    loss = first_loss(found, ("INPUT",), packet, match_rule, translated=translated)
    assert not isinstance(loss, Unavailable), loss
    return loss


ACTIONS = [
    *[(Action.LOSE, ()), (Action.ACCEPT, ()), (Action.RETURN, ())],
    *[(jump, to) for jump in (Action.JUMP, Action.GOTO) for to in (GUARD, DEEP)],
]


@st.composite
def rules(draw: st.DrawFn, chain: str, deepest: bool = False) -> Rules:
    made = []
    for number in range(draw(st.integers(0, 4))):
        action, to = draw(st.sampled_from(ACTIONS[:3] if deepest else ACTIONS))
        if chain == "guard" and to == GUARD:
            to = DEEP  # the kernel rejects loops
        name = f"{chain}{number}"
        made.append(Rule(name, action, to, lost(name) if action is Action.LOSE else None))
    return made


@st.composite
def rulesets(draw: st.DrawFn) -> dict[Key, Chain[Conditions]]:
    return {
        BASE: Chain("INPUT", policy=draw(st.sampled_from([None, POLICY])), rules=draw(rules("base"))),
        GUARD: Chain(rules=draw(rules("guard"))),
        DEEP: Chain(rules=draw(rules("deep", deepest=True))),
    }


def in_kernel(found: Mapping[Key, Chain[Conditions]], key: Key, met: Mapping[str, bool]) -> Fate:
    """The result in the kernel if it is known which rules match."""
    chain = found[key]
    for rule in chain.rules:
        if not met[rule.conditions]:
            continue
        match rule.action:
            case Action.LOSE:
                return Fate.LOST
            case Action.ACCEPT:
                return Fate.ACCEPTED
            case Action.JUMP | Action.GOTO:
                fate = in_kernel(found, rule.target, met)
                if fate is not Fate.PASSES:
                    return fate
        if rule.action in (Action.RETURN, Action.GOTO):
            break
    return Fate.LOST if chain.policy else Fate.PASSES


def cases(found: Mapping[Key, Chain[Conditions]], matches: Mapping[str, Match]) -> Iterator[Fate]:
    """The possible results: each unknown rule matches, or does not."""
    open_ = [name for name, match in matches.items() if match is Match.UNKNOWN]
    for answers in product((True, False), repeat=len(open_)):
        met = {name: match is Match.YES for name, match in matches.items()} | dict(
            zip(open_, answers, strict=True)
        )
        yield in_kernel(found, BASE, met)


@given(rulesets(), st.data())
def test_a_certain_result_holds_in_every_case_and_a_possible_one_is_at_least_uncertain(
    found: dict[Key, Chain[Conditions]], data: st.DataObject
) -> None:
    names = [rule.conditions for chain in found.values() for rule in chain.rules]
    matches = {name: data.draw(st.sampled_from(Match), label=name) for name in names}
    loss = first_loss(found, ("INPUT",), PACKET, lambda rule: matches[rule.conditions], translated=False)
    assert not isinstance(loss, Unavailable), loss
    possible = set(cases(found, matches))
    if loss is None:
        assert Fate.LOST not in possible
    elif loss.certain:
        assert possible == {Fate.LOST}
    if Match.UNKNOWN not in matches.values():
        assert (loss is not None and loss.certain) is (possible == {Fate.LOST})


def test_a_certain_loss_after_an_uncertain_one_counts() -> None:
    found = walked(chains([drop("maybe"), drop("surely")]), unknown="maybe")
    assert found == lost("surely")


def test_a_rule_that_may_accept_makes_later_losses_uncertain() -> None:
    for accepting in (
        chains([accept("maybe"), drop("later")]),
        chains([Rule("maybe", Action.JUMP, GUARD), drop("later")], [accept("inside")]),
        chains([Rule("maybe", Action.RETURN), drop("later")]),
    ):
        assert walked(accepting, unknown="maybe") == lost("later", certain=False)


def test_a_chain_that_drops_everything_makes_later_rules_not_uncertain() -> None:
    entering: Rules = [Rule("maybe", Action.JUMP, GUARD), drop("behind")]
    assert walked(chains(entering, [drop("inside"), accept("never")]), unknown="maybe") == lost("behind")


def test_a_return_leaves_only_its_own_chain() -> None:
    guard: Rules = [Rule("maybe", Action.RETURN), drop("inside")]
    found = walked(chains([Rule("jump", Action.JUMP, GUARD), drop("behind")], guard), unknown="maybe")
    assert found == lost("behind")
    assert walked(chains([Rule("jump", Action.JUMP, GUARD)], guard), unknown="maybe") == lost(
        "inside", certain=False
    )


@pytest.mark.parametrize("leaving", [Rule("out", Action.RETURN), Rule("out", Action.GOTO, GUARD)])
def test_a_return_from_a_base_chain_applies_its_policy(leaving: Rule[Conditions]) -> None:
    assert walked(chains([leaving, accept("behind")], policy=POLICY)) == POLICY


def test_an_accept_by_marks_counts_only_if_certain() -> None:
    assert walked(chains([accept("marked", by_mark=True), drop("later")]), unknown="marked") == lost("later")
    assert walked(chains([accept("marked", by_mark=True), drop("later")])) is None


def test_counted_packets_outweigh_uncertainty() -> None:
    found = walked(chains([accept("maybe"), drop("counted", despite_doubt=True)]), unknown="maybe")
    assert found == lost("counted")
    leaving: Rules = [Rule("maybe", Action.RETURN), drop("first", despite_doubt=True)]
    assert walked(chains([*leaving, drop("second", despite_doubt=True)]), unknown="maybe") == lost("first")


def test_the_result_of_a_userspace_program_is_uncertain() -> None:
    queue: Rule[Conditions] = Rule("queue", Action.LOSE, loss=lost("queue", certain=False))
    assert walked(chains([queue])) == lost("queue", certain=False)
    assert walked(chains([queue, drop("behind")])) == lost("behind")


def test_a_missing_chain_leaves_everything_uncertain() -> None:
    nowhere: Rules = [Rule("jump", Action.JUMP, ("t", "GONE")), drop("behind")]
    assert walked(chains(nowhere)) == lost("behind", certain=False)


def test_rules_that_are_too_many_to_follow_are_unknown() -> None:
    loop: Rules = [Rule("jump", Action.JUMP, BASE), drop("behind")]
    many: Rules = [accept("never")] * 20_001
    deep = {("t", str(depth)): Chain(rules=[jump_to(depth + 1)]) for depth in range(66)}
    for found in (
        chains(loop),
        chains([*many, drop("behind")]),
        deep | chains([jump_to(0), drop("behind")]),
    ):
        loss = first_loss(found, ("INPUT",), PACKET, never("never"), translated=False)
        assert isinstance(loss, Unavailable)
        assert loss.reason == EvidenceError.TOO_MANY_RULES


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("jump", [Action.JUMP, Action.GOTO])
def test_chains_that_all_jump_to_the_next_cost_no_more_than_their_rules(jump: Action, unknown: bool) -> None:
    """Without a memory of chains, these rules would be followed 10^16 times."""
    found = {
        ("t", str(depth)): Chain(rules=[Rule("jump", jump, ("t", str(depth + 1)))] * 10)
        for depth in range(16)
    }
    found[("t", "16")] = Chain(rules=[drop("never")])
    base = [jump_to(0), drop("behind")]
    loss = first_loss(
        found | chains(base),
        ("INPUT",),
        PACKET,
        never("never", otherwise=Match.UNKNOWN if unknown else Match.YES),
        translated=False,
    )
    assert loss == lost("behind", certain=not unknown)


def jump_to(number: int) -> Rule[Conditions]:
    return Rule("jump", Action.JUMP, ("t", str(number)))


def never(name: str, otherwise: Match = Match.YES) -> Callable[[Rule[Conditions]], Match]:
    return lambda rule: Match.NO if rule.conditions == name else otherwise


def test_nat_chains_process_only_the_first_packet_and_count_if_it_must_not_be_redirected() -> None:
    redirect: Rule[Conditions] = Rule("redirect", Action.LOSE, loss=lost("redirect", REDIRECTS))
    nat: dict[Key, Chain[Conditions]] = {BASE: Chain("INPUT", translates=True, rules=[redirect])}
    assert walked(nat) is None
    assert walked(nat, translated=True) == redirect.loss
    assert walked(nat, translated=True, packet=PACKET.with_data()) is None
