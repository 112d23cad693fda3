"""Fixtures of the e2e tests: the lab, the operator, pods to probe, and probes that are deleted when the test ends.

`make e2e` brings the lab up. On a machine without the prerequisites of the lab, every test is skipped.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datapath_probe.diagnose.run.windows import DEFAULT, Windows
from e2e.api import Api, connect
from e2e.galaxy import Galaxy
from e2e.galaxy import deploy as deploy_galaxy
from e2e.operator_deploy import Operator
from e2e.operator_deploy import deploy as deploy_operator
from e2e.probes import Probe, Probes, probes_path
from lab import preconditions
from lab.cluster import Lab
from lab.paths import CHECKOUT

# These take long and have targets of their own, which set the variable: `make e2e-modes`, ….
SLOW = {
    "E2E_MODES": ["test_modes.py", "test_ordinary.py", "test_egress_gateway.py"],
    "E2E_IPV6": ["test_ipv6_modes.py"],
    "E2E_MONITORING": ["test_monitoring.py"],
}
collect_ignore = [file for variable, files in SLOW.items() if not os.environ.get(variable) for file in files]

# Tests of upgrades and mode switches use the default windows.
SHORT = Windows(pod_starting_s=2, endpoints_spreading_s=2, agent_starting_s=5)
WINDOWS = DEFAULT if os.environ.get("E2E_MODES") else SHORT

LONGEST_TEST_S = 420
"""The first test also waits for image, operator and demo."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    reason = preconditions.unmet()
    for item in here:
        item.add_marker(pytest.mark.lab)
        item.add_marker(pytest.mark.timeout(LONGEST_TEST_S))
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"the lab cannot run here: {reason}"))


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The running lab. Raises LabError if there is none."""
    return Lab.current()


@pytest.fixture(scope="session")
def api(lab: Lab) -> Iterator[Api]:
    with connect(lab.kubeconfig) as api:
        yield api


@pytest.fixture(scope="session")
def operator(lab: Lab, api: Api) -> Operator:
    """The operator of this checkout."""
    return deploy_operator(lab, api, WINDOWS)


@pytest.fixture(scope="session")
def galaxy(lab: Lab, api: Api) -> Galaxy:
    """Pods to probe."""
    return deploy_galaxy(lab, api, windows=WINDOWS)


@pytest.fixture(scope="session")
def demo(lab: Lab, api: Api, operator: Operator) -> dict[str, Probe]:
    """The probes of the demo by name. Every probe has run since all pods are ready."""
    lab.kubectl("apply", "--server-side", "-k", str(CHECKOUT / "manifests/demo/overlays/lab"))
    lab.kubectl("rollout", "status", "-n", "default", "statefulset/deathstar", "--timeout=180s")
    lab.kubectl(
        "wait", "-n", "default", "--for=condition=Ready", "pod/xwing", "pod/tiefighter", "--timeout=180s"
    )
    ready = datetime.now(UTC)
    names = (probe["metadata"]["name"] for probe in api.items(probes_path("default")))
    probes = {name: Probe(api, "default", name) for name in names}
    for probe in probes.values():
        probe.wait_for_run_after(ready)
    return probes


@pytest.fixture
def probes(operator: Operator, galaxy: Galaxy) -> Iterator[Probes]:
    """Creates probes in the galaxy's namespace and deletes them when the test ends. The operator is ready, also after a
    test that restarted it.
    """
    operator.wait_ready(timeout_s=120)
    probes = Probes(galaxy.api, galaxy.namespace)
    yield probes
    probes.delete_all()
