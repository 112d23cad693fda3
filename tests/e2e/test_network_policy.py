"""Who can connect to the operator: labeled namespaces to /metrics, no pod to health, the kubelet always."""

from collections.abc import Iterator

import pytest

from e2e.galaxy import Galaxy
from e2e.operator_deploy import Operator
from e2e.waiting import until

LABEL = "datapath-probe.dev/scrapes-metrics"
POLICY_S = 60
DROPPED, OK = "000", "200"


@pytest.fixture
def unlabeled(galaxy: Galaxy) -> Iterator[None]:
    """The namespace of the pods has no label before and after the test."""
    label(galaxy, None)
    yield
    label(galaxy, None)


def label(galaxy: Galaxy, value: str | None) -> None:
    galaxy.api.patch(f"/api/v1/namespaces/{galaxy.namespace}", {"metadata": {"labels": {LABEL: value}}})


def status_code(galaxy: Galaxy, ship: str, url: str) -> str:
    """The response that a pod gets; 000 if there is none."""
    return galaxy.sh(ship, f"curl -s -o /dev/null -m 2 -w '%{{http_code}}' {url} || true").strip()


@pytest.mark.usefixtures("unlabeled")
def test_only_pods_of_labeled_namespaces_reach_metrics_and_none_reaches_health(
    operator: Operator, galaxy: Galaxy
) -> None:
    ip = operator.wait_ready()["status"]["podIP"]
    metrics, health = f"http://{ip}:8080/metrics", f"http://{ip}:8081/healthz"
    assert {status_code(galaxy, "xwing", url) for url in (metrics, health)} == {DROPPED}
    label(galaxy, "true")
    until("a labeled namespace may scrape", lambda: status_code(galaxy, "xwing", metrics) == OK, POLICY_S)
    assert status_code(galaxy, "xwing", health) == DROPPED
    operator.wait_ready()  # the kubelet's probes arrive
