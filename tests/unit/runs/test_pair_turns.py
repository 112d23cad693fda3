"""Which pairs a run requests: each in its turn, and those that are not Healthy in every run."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.plan.destination import PodEnd
from datapath_probe.plan.pairs.pairs import Pair, Pairs
from datapath_probe.runs.pair_turns import PairTurns

HEALTHY, BROKEN = ProbeVerdict.HEALTHY, ProbeVerdict.BROKEN
UID = "uid-probe"
SIZES = st.integers(1, 12)


def mesh(sources: int, destinations: int) -> Pairs:
    ends = tuple(PodEnd("default", f"d{n}", 80) for n in range(destinations))
    return Pairs(tuple(f"s{n}" for n in range(sources)), ends, "")


def all_of(pairs: Pairs) -> set[Pair]:
    return {pair for _, pair in pairs.turns(0)}


def run(turns: PairTurns, pairs: Pairs, broken: frozenset[Pair] = frozenset()) -> tuple[Pair, ...]:
    taken = turns.take(UID, pairs)
    turns.found(UID, {pair: BROKEN if pair in broken else HEALTHY for pair in taken})
    return taken


@given(SIZES, SIZES, SIZES)
def test_all_pairs_have_a_turn_before_any_has_a_second_one(
    sources: int, destinations: int, limit: int
) -> None:
    turns, pairs, seen = PairTurns(limit), mesh(sources, destinations), Counter[Pair]()
    for _ in range(2 * -(-len(pairs) // limit)):
        taken = run(turns, pairs)
        assert len(taken) == len(set(taken)) == min(limit, len(pairs))
        seen.update(taken)
        assert max(seen.values()) - min(seen[pair] for pair in all_of(pairs)) <= 1
    assert set(seen) == all_of(pairs)


@given(SIZES, SIZES)
def test_if_all_fit_each_run_has_them_all_in_the_same_order(sources: int, destinations: int) -> None:
    pairs = mesh(sources, destinations)
    turns = PairTurns(len(pairs))
    first = run(turns, pairs)
    assert set(first) == all_of(pairs)
    assert run(turns, pairs) == first


@given(SIZES, SIZES, st.integers(2, 12), st.data())
def test_a_broken_pair_is_run_until_it_is_healthy_and_the_others_still_have_their_turn(
    sources: int, destinations: int, limit: int, data: st.DataObject
) -> None:
    turns, pairs = PairTurns(limit), mesh(sources, destinations)
    ordered = [pair for _, pair in pairs.turns(0)]
    broken = frozenset(data.draw(st.lists(st.sampled_from(ordered), max_size=limit // 2)))
    rounds = -(-len(pairs) // max(1, limit - limit // 2))
    seen = {pair for _ in range(rounds) for pair in run(turns, pairs, broken)}
    assert seen == set(ordered)
    for _ in range(3):
        assert set(run(turns, pairs, broken)) >= broken
    run(turns, pairs)
    assert not turns._turns[UID].faulty


def test_many_broken_pairs_leave_half_of_the_turns_to_others() -> None:
    turns, pairs = PairTurns(10), mesh(10, 10)
    everything = frozenset(all_of(pairs))
    seen = {pair for _ in range(20) for pair in run(turns, pairs, everything)}
    assert seen == everything


def test_a_pair_that_is_no_longer_one_is_forgotten() -> None:
    turns, pairs = PairTurns(64), mesh(3, 3)
    gone = Pair("s2", PodEnd("default", "d2", 80))
    run(turns, pairs, frozenset({gone}))
    assert turns.take(UID, pairs)[0] == gone
    assert gone not in turns.take(UID, mesh(2, 3))
    assert turns.take(UID, pairs)[0] != gone


def test_the_sources_of_the_last_run_are_known_until_the_probe_is_deleted() -> None:
    turns = PairTurns(64)
    assert turns.sources(UID) == ()
    turns.take(UID, mesh(2, 1))
    turns.take("another", mesh(1, 1))
    assert set(turns.sources(UID)) == {"s0", "s1"}
    turns.forget(UID)
    turns.forget(UID)
    assert turns.sources(UID) == ()
    assert set(turns.sources("another")) == {"s0"}
