"""Unknown instead of wrong: what cannot be determined is reported as Unknown, with a reason."""

from datetime import datetime

import pytest

from e2e import faults, operator_deploy, processes
from e2e.api import Object
from e2e.galaxy import Galaxy
from e2e.probes import Probes, hop
from e2e.specs import in_container, to_pod
from e2e.waiting import until
from faults.inject.nodes import agent_hangs
from lab.cluster import Lab


def test_the_source_pod_is_missing(galaxy: Galaxy, probes: Probes) -> None:
    status = probes.create("source-missing", to_pod("falcon", galaxy.far("xwing"))).run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", "SourceNotFound")
    assert f"{galaxy.namespace}/falcon" in status["summary"]


def test_the_source_container_has_no_curl(galaxy: Galaxy, probes: Probes) -> None:
    status = probes.create("no-client", in_container(to_pod("droid", galaxy.far("xwing")))).run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", "CurlNotFound")
    assert "spec.source.container" in status["summary"]  # the next step


def test_exec_into_the_source_pod_is_forbidden(galaxy: Galaxy, probes: Probes) -> None:
    probe = probes.create("exec-forbidden", in_container(to_pod("xwing", galaxy.far("xwing"))))
    probe.settle()
    with faults.role_binding_removed(galaxy, "datapath-probe-source-exec"):
        # the API server observes the change by a watch
        status = probe.run_until("forbidden", lambda status: status["reason"] == "ExecForbidden")
        assert status["verdict"] == "Unknown"
    probe.settle()


@pytest.mark.skipif(operator_deploy.collector() != "exec", reason="node agents tell without Cilium's agent")
def test_an_agent_is_not_ready(galaxy: Galaxy, probes: Probes) -> None:
    star = galaxy.far("xwing")
    probe = probes.create("agent-not-ready", to_pod("xwing", star))
    probe.settle()
    with faults.agent_unready(galaxy, star.node):
        status = probe.run_until("not ready", lambda status: status["reason"] == "AgentNotReady")
        assert status["verdict"] == "Unknown"
        assert hop(status, "endpoint-lookup")["verdict"] == "Unknown"
        assert hop(status, "ipcache-lookup")["verdict"] == "Ok"
        assert _condition(status, "ExpectationMet") == "True"
    probe.settle()


@pytest.mark.skipif(operator_deploy.collector() == "exec", reason="without node agents")
def test_node_agents_tell_without_cilium_s_agent(galaxy: Galaxy, probes: Probes) -> None:
    star = galaxy.far("xwing")
    probe = probes.create("without-cilium-s-agent", to_pod("xwing", star))
    probe.settle()
    with faults.agent_unready(galaxy, star.node):
        status = probe.run_until("judged", lambda status: hop(status, "endpoint-lookup")["verdict"] == "Ok")
        assert hop(status, "ipcache-lookup")["verdict"] == "Ok"
        assert _condition(status, "ExpectationMet") == "True"
    probe.settle()


def test_an_agent_hangs(lab: Lab, galaxy: Galaxy, probes: Probes) -> None:
    star = galaxy.far("xwing")
    with agent_hangs(lab, star.node):  # shorter than the failure threshold of its readiness probe
        probe = probes.create("agent-hangs", to_pod("xwing", star))
        # cached answers may still be valid
        unknown = probe.run_until("unknown", lambda status: status.get("reason") == "AgentNotResponding")
        with faults.wrong_tunnel_endpoint(lab, galaxy.pod("xwing").node, star):
            broken = probe.run_now()
        until("only shells remain in the agents", lambda: not _commands(lab), 15)
    assert (unknown["verdict"], _condition(unknown, "ExpectationMet")) == ("Unknown", "True")
    assert star.node in unknown["summary"]
    assert hop(unknown, "ipcache-lookup")["verdict"] == "Ok", "the other node has responded"
    assert _seconds(unknown) < 15
    assert (broken["verdict"], _condition(broken, "ExpectationMet")) == ("Broken", "False")
    assert broken["divergentHop"]["name"] == "ipcache-lookup"
    probe.settle()


def _condition(status: Object, type_: str) -> str:
    found: str = next(condition["status"] for condition in status["conditions"] if condition["type"] == type_)
    return found


def _commands(lab: Lab) -> list[str]:
    """Commands of the operator that run in the agents, without the shells that wait for commands."""
    return [line for line in processes.in_agents(lab) if line.split(None, 1)[1] != "sh"]


def _seconds(status: Object) -> float:
    run = status["lastRun"]
    return (datetime.fromisoformat(run["endTime"]) - datetime.fromisoformat(run["startTime"])).total_seconds()
