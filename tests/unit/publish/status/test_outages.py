"""Outages and failed runs in the status: when they begin and end, and what neither begins nor ends them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from datapath_probe.api.probe import Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.past_runs import FAILURES_LIMIT, OUTAGES_LIMIT, Outage
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import (
    CANNOT_RUN,
    NOW,
    diverging,
    healthy,
    lost,
    probe,
    record_of,
    unjudged,
    unknown,
)
from unit.publish.status.after_runs import after, condition, says

OK, BAD, STALE, NONE = healthy(), diverging(), diverging(ProbeVerdict.DEGRADED), unknown()


def at(minutes: float) -> datetime:
    return datetime.fromtimestamp(NOW, UTC) + timedelta(minutes=minutes)


def with_threshold(failures: int, successes: int = 1, generation: int = 1) -> Probe:
    return probe(generation=generation, threshold={"failures": failures, "successes": successes})


def test_an_outage_has_begin_end_hop_and_runs() -> None:
    status = after([OK, BAD, BAD, BAD, OK, OK])
    assert status.outages == (
        Outage(
            start_time=at(1),
            end_time=at(4),
            hop=HopName.IPCACHE_LOOKUP,
            node="node2",
            reason=Reason.WRONG_TUNNEL_ENDPOINT,
            runs=3,
        ),
    )
    assert status.counters.outages == 1


def test_an_outage_that_lasts_has_no_end() -> None:
    (outage,) = after([OK, BAD, BAD]).outages
    assert (outage.start_time, outage.end_time, outage.runs) == (at(1), None, 2)


def test_an_outage_follows_the_threshold_and_is_dated_back_to_its_first_run() -> None:
    strict = with_threshold(failures=3, successes=2)
    assert after([OK, BAD, BAD, OK, BAD, BAD], strict).outages == ()
    outcomes = [OK, BAD, BAD, BAD, OK, BAD, OK, OK, OK]
    (lasting,) = after(outcomes[:-2], strict).outages
    assert (lasting.start_time, lasting.end_time, lasting.runs) == (at(1), None, 4)
    status = after(outcomes, strict)
    (over,) = status.outages
    assert (over.start_time, over.end_time, over.runs) == (at(1), at(6), 4)
    assert says(status)["ExpectationMet"] == "True"


@pytest.mark.parametrize("gap", [NONE, CANNOT_RUN])
def test_a_run_that_could_not_tell_does_not_end_an_outage(gap: object) -> None:
    status = after([BAD, gap, gap, BAD, gap, OK])  # type: ignore[list-item]
    assert [(each.start_time, each.end_time, each.runs) for each in status.outages] == [(at(0), at(5), 2)]
    assert after([OK, gap, gap]).outages == ()  # type: ignore[list-item]


def test_below_the_threshold_after_a_gap_the_outage_goes_on() -> None:
    strict = with_threshold(failures=2, successes=2)
    for last, runs in ((BAD, 3), (OK, 2)):
        status = after([BAD, BAD, NONE, last], strict)
        assert says(status)["ExpectationMet"] == "Unknown"
        assert [(each.start_time, each.end_time, each.runs) for each in status.outages] == [
            (at(0), None, runs)
        ]


def test_an_outage_survives_a_restart_of_the_operator() -> None:
    before = after([BAD, BAD])
    adopted = ProbeStatus.from_object(before.to_object())
    status = after([BAD, OK], previous=adopted, every_s=600)
    (outage,) = status.outages
    assert (outage.start_time, outage.end_time, outage.runs) == (at(0), at(10), 3)


def test_an_outage_survives_a_suspension() -> None:
    status = statuses.suspended(after([BAD]), probe(suspend=True), NOW + 60)
    assert status.outages[0].end_time is None
    assert after([BAD, OK], probe(generation=3), status).outages[0].end_time == at(1)


def test_an_outage_survives_a_change_of_the_spec() -> None:
    status = after([BAD, BAD], probe(generation=2), previous=after([BAD]))
    assert [each.runs for each in status.outages] == [3]
    status = after([OK], with_threshold(1, successes=5, generation=3), previous=status)
    assert status.outages[0].end_time, "the first run of a new spec sets the conditions"


def test_an_outage_survives_a_spec_that_cannot_run() -> None:
    status = statuses.stalled(after([BAD]), probe().meta, Reason.INVALID_SPEC, "no", NOW + 60)
    (outage,) = status.outages
    assert outage.end_time is None


def test_a_latent_fault_is_no_outage() -> None:
    assert after([STALE, STALE]).outages == ()


def test_a_request_that_failed_on_a_path_that_cannot_be_judged_is_an_outage() -> None:
    (outage,) = after([unjudged(met=False)]).outages
    assert (outage.reason, outage.hop) == (Reason.UNSUPPORTED_CONFIGURATION, None)


def test_the_hop_is_that_of_the_first_run_that_names_one() -> None:
    (outage,) = after([lost(), BAD, diverging(hop=HopName.IPAM, reason=Reason.OK)]).outages
    assert (outage.hop, outage.reason) == (HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT)
    (outage,) = after([lost()]).outages
    assert (outage.hop, outage.reason) == (None, Reason.LOST_IN_TRANSIT)


def test_outages_are_the_newest_ten_and_all_are_counted() -> None:
    status = after([BAD, OK] * (OUTAGES_LIMIT + 3))
    assert [each.start_time for each in status.outages] == [at(2 * number) for number in range(12, 2, -1)]
    assert status.counters.outages == OUTAGES_LIMIT + 3


def test_a_status_of_an_earlier_version_in_an_outage_continues() -> None:
    old = after([OK, BAD, BAD]).to_object()
    del old["outages"], old["failures"], old["counters"]["outages"], old["counters"]["streakStartTime"]
    status = after([BAD], previous=ProbeStatus.from_object(old), every_s=600)
    since = condition(status, "ExpectationMet").last_transition_time
    assert [(each.start_time, each.runs) for each in status.outages] == [(min(since, at(0)), 3)]


def test_failed_runs_are_the_newest_five_of_any_verdict() -> None:
    status = after([BAD, OK, STALE, CANNOT_RUN, OK, NONE, BAD, BAD])
    assert [(each.time - at(0)).total_seconds() for each in status.failures] == [
        420.1,
        360.1,
        300.1,
        180.1,
        120.1,
    ]
    assert [each.verdict for each in status.failures] == [
        "Broken",
        "Broken",
        "Unknown",
        "Unknown",
        "Degraded",
    ]
    newest, cannot_run = status.failures[0], status.failures[3]
    assert (newest.hop, newest.reason) == (HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT)
    assert (newest.message, newest.run_id, newest.evidence) == ("ipcache-lookup says so", "run", None)
    assert (cannot_run.hop, cannot_run.message) == (None, "there is no pod default/xwing")
    assert len(status.failures) == FAILURES_LIMIT


def test_the_streak_has_a_start() -> None:
    assert after([OK, BAD, BAD]).counters.streak_start_time == at(1)
    assert after([OK, OK, OK]).counters.streak_start_time == at(0)
    assert after([OK, NONE]).counters.streak_start_time is None
    assert after([OK, NONE, OK]).counters.streak_start_time == at(2)


def test_a_run_of_many_paths_names_the_worst() -> None:
    run = record_of(OK, replace(BAD, message="worst"), STALE)
    (failed,) = statuses.after_run(ProbeStatus(), probe(), run, NextRun(None)).failures
    assert failed.message == "worst"
