"""Unknown instead of wrong: whatever can't be determined is said to be so, with its reason."""

from e2e import faults
from e2e.galaxy import Galaxy
from e2e.probes import Probes, hop
from e2e.specs import to_pod


def test_the_source_pod_is_missing(galaxy: Galaxy, probes: Probes) -> None:
    status = probes.create("source-missing", to_pod("falcon", galaxy.far("xwing"))).run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", "SourceNotFound")
    assert f"{galaxy.namespace}/falcon" in status["summary"]


def test_the_source_container_has_no_curl(galaxy: Galaxy, probes: Probes) -> None:
    status = probes.create("no-client", to_pod("droid", galaxy.far("xwing"))).run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", "NoClient")
    assert "spec.source.container" in status["summary"]  # what to do


def test_exec_into_the_source_pod_is_forbidden(galaxy: Galaxy, probes: Probes) -> None:
    probe = probes.create("exec-forbidden", to_pod("xwing", galaxy.far("xwing")))
    probe.settle()
    with faults.role_binding_removed(galaxy, "datapath-probe-source-exec"):
        # the API server itself hears of the change by a watch
        status = probe.run_until("forbidden", lambda status: status["reason"] == "ExecForbidden")
        assert status["verdict"] == "Unknown"
    probe.settle()


def test_an_agent_is_not_ready(galaxy: Galaxy, probes: Probes) -> None:
    star = galaxy.far("xwing")
    probe = probes.create("agent-not-ready", to_pod("xwing", star))
    probe.settle()
    with faults.agent_unready(galaxy, star.node):
        status = probe.run_until("not ready", lambda status: status["reason"] == "AgentNotReady")
        assert status["verdict"] == "Unknown"
        assert hop(status, "endpoint-lookup")["verdict"] == "Unknown"
        assert hop(status, "ipcache-lookup")["verdict"] == "Ok"
        reachable = next(c for c in status["conditions"] if c["type"] == "Reachable")
        assert reachable["status"] == "True"
    probe.settle()
