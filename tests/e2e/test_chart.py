"""The chart from installation to removal, by each version of helm. Probes, their statuses and their counters stay."""

import json
from collections.abc import Iterator

import pytest

from e2e.api import Api, Object
from e2e.conftest import WINDOWS
from e2e.galaxy import Galaxy
from e2e.operator_deploy import deploy, values
from e2e.probes import Probe, Probes
from e2e.release import CHART, NAMESPACE, Release
from e2e.specs import to_pod
from e2e.waiting import until
from lab.cluster import Lab
from lab.gobuild import HELM, HELM_4, GoModule
from lab.paths import CHECKOUT

FIRST = CHECKOUT / "tests/data/charts/datapath-probe-0.0.1.tgz"
"""The chart as it was first. It installs the image of this checkout, as there is no other."""
GONE_S = 60
KINDS = (
    "deployments,daemonsets,pods,services,serviceaccounts,configmaps,secrets,networkpolicies,roles,rolebindings,clusterroles,"
    "clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions"
)


@pytest.fixture
def without_operator(lab: Lab, api: Api, probes: Probes) -> Iterator[Probes]:
    """No operator before the test; that of the other tests after it."""
    Release(lab).run("uninstall")
    yield probes
    deploy(lab, api, WINDOWS)


def left(lab: Lab) -> list[str]:
    """Kinds of all objects that the chart or helm made."""
    made = lab.objects(KINDS, "-A", "-l", "app.kubernetes.io/name=datapath-probe")
    return [str(one["kind"]) for one in [*made, *lab.objects("secrets", "-n", NAMESPACE, "-l", "owner=helm")]]


def wait_until_removed(lab: Lab) -> None:
    """Wait until only the CRD is left: pods need a moment to end."""
    until(
        "only the CRD is left",
        lambda: left(lab) == ["CustomResourceDefinition"],
        GONE_S,
        otherwise=lambda: left(lab),
    )


def runs_on(probe: Probe) -> Object:
    """The status after a run by the operator that is there now: Healthy, and counted on."""
    before = probe.status()
    status = probe.run_now()
    assert status["verdict"] == "Healthy", json.dumps(status["summary"])
    assert status["counters"]["runs"] > before["counters"]["runs"]
    return status


@pytest.mark.parametrize("helm", [HELM, HELM_4], ids=lambda module: module.folder)
def test_a_release_is_installed_upgraded_rolled_back_and_removed(
    lab: Lab, galaxy: Galaxy, without_operator: Probes, helm: GoModule
) -> None:
    wait_until_removed(lab)
    release, given = Release(lab, helm), values("test_chart", WINDOWS)
    release.run(
        "install", FIRST, values={name: value for name, value in given.items() if name != "nodeAgents"}
    )
    spec = {**to_pod("xwing", galaxy.far("xwing")), "schedule": {"interval": "5s"}}
    probe = without_operator.create("kept", spec)
    probe.settle()
    release.run("upgrade", CHART, values={**given, "options": {"maxPairs": 8}})
    runs_on(probe)
    release.run("rollback", "1")
    kept = runs_on(probe)
    release.run("uninstall")
    wait_until_removed(lab)
    assert probe.status()["counters"]["runs"] >= kept["counters"]["runs"]
