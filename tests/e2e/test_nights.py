"""Probes whose results are read later: by a cron expression, and after an outage."""

from datetime import UTC, datetime

from e2e import faults
from e2e.galaxy import Galaxy
from e2e.probes import RUN_S, UNCHANGED_S, Probes
from e2e.specs import to_pod


def test_a_probe_with_a_cron_expression_runs_at_once_and_then_each_minute(
    galaxy: Galaxy, probes: Probes
) -> None:
    schedule = {"cron": "* * * * *", "timeZone": "Asia/Seoul"}
    probe = probes.create("cron", {**to_pod("xwing", galaxy.far("xwing")), "schedule": schedule})
    status = probe.wait("first run", lambda status: "lastRun" in status)
    assert status["lastRun"]["trigger"] == "Start"
    due = datetime.fromisoformat(status["nextRunTime"])
    assert due.second < 5
    assert 0 < (due - datetime.now(UTC)).total_seconds() <= 65
    status = probe.wait(
        "run on schedule",
        lambda status: status["lastRun"]["trigger"] == "Schedule",
        60 + RUN_S + UNCHANGED_S,
    )
    assert datetime.fromisoformat(status["lastRun"]["startTime"]) >= due
    assert status["counters"]["skipped"] == 0


def test_an_outage_is_still_in_the_status_when_it_is_over(galaxy: Galaxy, probes: Probes) -> None:
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    probe = probes.create("outage", to_pod("xwing", star))
    began = probe.settle()["lastRun"]["endTime"]
    with faults.wrong_tunnel_endpoint(galaxy.lab, ship.node, star):
        probe.run_until("Broken", lambda status: status["verdict"] == "Broken")
        status = probe.run_now()
        assert "endTime" not in status["outages"][0]
    status = probe.settle()
    outage = status["outages"][0]
    assert (outage["hop"], outage["node"]) == ("ipcache-lookup", ship.node)
    assert outage["runs"] >= 2
    assert began < outage["startTime"] < outage["endTime"] <= status["lastRun"]["endTime"]
    assert status["counters"]["outages"] == len(status["outages"])
    assert "ipcache-lookup" in [run.get("hop") for run in status["failures"]]
