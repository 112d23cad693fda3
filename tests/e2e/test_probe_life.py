"""The life of a probe: validation, requested runs, suspension, Events, logs, deletion."""

import json

import pytest

from e2e import faults
from e2e.api import Object
from e2e.galaxy import Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import API_VERSION, RUN_S, Probe, Probes
from e2e.specs import SERVICE, landing, to_pod
from e2e.waiting import until
from lab.shell import LabError

POD: Object = {"pod": {"name": "deathstar-0", "port": 80}}
REFUSED = {
    "both pod and service": (
        landing("xwing", {**POD, **SERVICE}),
        "exactly one of pod, service, workload and address",
    ),
    "interval 0s": (
        {**landing("xwing", POD), "schedule": {"interval": "0s"}},
        "must be a duration from 1s to 24h",
    ),
    "port 70000": (
        landing("xwing", {"pod": {"name": "deathstar-0", "port": 70000}}),
        "less than or equal to 65535",
    ),
    "path without slash": ({**landing("xwing", POD), "request": {"path": "v1"}}, "must start with '/'"),
    "unknown field": ({**landing("xwing", POD), "retries": 3}, 'unknown field "spec.retries"'),
}


@pytest.mark.parametrize(("spec", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_kubectl_reports_what_is_wrong_with_a_spec(
    galaxy: Galaxy, operator: Operator, spec: Object, message: str
) -> None:
    del operator  # it installs the CRD
    metadata = {"name": "refused", "namespace": galaxy.namespace}
    probe = {"apiVersion": API_VERSION, "kind": "DatapathProbe", "metadata": metadata, "spec": spec}
    with pytest.raises(LabError) as raised:
        galaxy.lab.kubectl("apply", "-f", "-", stdin=json.dumps(probe))
    assert message in str(raised.value)


def test_run_now_runs_once(galaxy: Galaxy, probes: Probes) -> None:
    probe = probes.create("run-now", to_pod("xwing", galaxy.near("xwing")))
    probe.settle()
    before = probe.run_now()
    status = probe.run_now()
    assert status["lastRun"]["trigger"] == "RunNow"
    assert status["counters"]["runs"] == before["counters"]["runs"] + 1
    # Other changes of the metadata do not start a run.
    galaxy.api.patch(probe.path, {"metadata": {"labels": {"datapath-probe.dev/severity": "page"}}})
    status = probe.run_now()
    assert status["counters"]["runs"] == before["counters"]["runs"] + 2


def test_a_suspended_probe_is_not_run(galaxy: Galaxy, probes: Probes, operator: Operator) -> None:
    spec = {**to_pod("xwing", galaxy.near("xwing")), "schedule": {"interval": "1s"}}
    suspended, other = probes.create("suspended", spec), probes.create("not-suspended", spec)
    suspended.settle()
    suspended.change({"suspend": True})
    status = suspended.wait("Suspended", lambda status: "nextRunTime" not in status)
    [ready] = [condition for condition in status["conditions"] if condition["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("True", "Suspended")

    def runs(probe: Probe) -> float:
        return operator.metrics().total(
            "datapath_probe_runs_total", namespace=galaxy.namespace, probe=probe.name
        )

    runs_before, others_before = runs(suspended), runs(other)
    until("the other probe has run three times", lambda: runs(other) >= others_before + 3, 3 * RUN_S)
    assert runs(suspended) == runs_before
    suspended.change({"suspend": False})
    until("it runs again", lambda: runs(suspended) > runs_before, RUN_S)


def test_each_change_and_nothing_else_has_an_event(galaxy: Galaxy, probes: Probes) -> None:
    star = galaxy.near("xwing")
    probe = probes.create("events", to_pod("xwing", star))
    probe.settle()
    probe.run_now()
    with faults.application_stopped(galaxy, star):
        for _ in range(2):
            assert probe.run_now()["verdict"] == "Broken"
    for _ in range(2):
        assert probe.run_now()["verdict"] == "Healthy"

    def events() -> list[tuple[str, str]]:
        path = f"/apis/events.k8s.io/v1/namespaces/{galaxy.namespace}/events"
        found = [
            e
            for e in galaxy.api.items(path)
            if e["regarding"].get("uid") == probe.object()["metadata"]["uid"]
        ]
        return [(e["type"], e["reason"]) for e in sorted(found, key=lambda e: str(e["eventTime"]))]

    changes = [("Warning", "ProbeBroken"), ("Normal", "ProbeRecovered")]
    until("the Events are there", lambda: events()[-2:] == changes, RUN_S, otherwise=events)
    assert events().count(("Warning", "ProbeBroken")) == 1


def test_each_run_is_logged(galaxy: Galaxy, probes: Probes, operator: Operator) -> None:
    probe = probes.create("logged", to_pod("xwing", galaxy.near("xwing")))
    run_id = probe.run_now()["lastRun"]["id"]
    lines = [line for line in map(json.loads, operator.logs("--since=2m").splitlines()) if line.get("run_id")]
    [line] = [line for line in lines if line["run_id"] == run_id]
    named = (f"{galaxy.namespace}/{probe.name}", galaxy.pod("xwing").node)
    assert (line["probe"], line["node"]) == named


def test_a_deleted_probe_leaves_no_series(galaxy: Galaxy, probes: Probes, operator: Operator) -> None:
    probe = probes.create("deleted", to_pod("xwing", galaxy.near("xwing")))
    probe.settle()
    assert (
        operator.metrics().value("datapath_probe_success", namespace=galaxy.namespace, probe=probe.name) == 1
    )
    probe.delete()

    def forgotten() -> bool:
        return not operator.metrics().series_of(galaxy.namespace, probe.name)

    until("its series are gone", forgotten, timeout_s=10)
    assert galaxy.api.get(probe.path) is None
