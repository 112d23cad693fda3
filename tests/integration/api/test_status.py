"""Statuses that the operator writes, in the real schema."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from datapath_probe.api.bounds import fitted
from datapath_probe.api.status.probe_status import ProbeStatus
from integration.apiserver import ApiServer
from unit.api.specs import EVERYTHING
from unit.api.statuses import largest_status

RESOURCE = {"apiVersion": "datapath-probe.dev/v1alpha1", "kind": "DatapathProbe"}


@pytest.fixture
def probe(apiserver: ApiServer, probes: client.CustomObjectsApi) -> Iterator[str]:
    """The name of a stored probe."""
    body = {**RESOURCE, "metadata": {"name": "landing"}, "spec": EVERYTHING}
    created = apiserver.run_kubectl("create", "-f", "-", stdin=json.dumps(body))
    assert created.returncode == 0, created.stderr
    yield "landing"
    apiserver.run_kubectl("delete", "dpp", "landing")


def apply(apiserver: ApiServer, probe: str, status: dict[str, Any], manager: str = "datapath-probe") -> str:
    """Server-side apply to the status subresource; returns the API server's warnings and errors."""
    body = {**RESOURCE, "metadata": {"name": probe}, "status": status}
    return apiserver.run_kubectl(
        *("apply", "--server-side", "--subresource=status", "--field-manager", manager, "-f", "-"),
        stdin=json.dumps(body),
    ).stderr


def stored_status(apiserver: ApiServer, probe: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(apiserver.run_kubectl("get", "dpp", probe, "-o", "json").stdout)[
        "status"
    ]
    return status


@pytest.mark.parametrize(
    "status",
    [largest_status(hops=1), fitted(largest_status(paths=32)), fitted(largest_status()), ProbeStatus()],
)
def test_statuses_are_stored_as_written(apiserver: ApiServer, probe: str, status: ProbeStatus) -> None:
    written = status.to_object()
    assert apply(apiserver, probe, written) == ""
    assert stored_status(apiserver, probe) == written


def test_fields_that_are_no_longer_applied_are_removed(apiserver: ApiServer, probe: str) -> None:
    assert apply(apiserver, probe, largest_status(hops=1).to_object()) == ""
    assert apply(apiserver, probe, ProbeStatus().to_object()) == ""
    assert ProbeStatus.from_object(stored_status(apiserver, probe)) == ProbeStatus()


def test_conditions_of_other_managers_are_kept(apiserver: ApiServer, probe: str) -> None:
    condition, ours = largest_status().to_object()["conditions"][:2]
    foreign = {**condition, "type": "example.com/Approved"}
    assert apply(apiserver, probe, {"conditions": [foreign]}, manager="somebody") == ""
    assert apply(apiserver, probe, {"conditions": [ours]}) == ""
    assert stored_status(apiserver, probe)["conditions"] == [foreign, ours]


def test_the_printed_columns(apiserver: ApiServer, probe: str) -> None:
    status = {
        "source": "default/xwing@node2",
        "destination": "default/deathstar:80",
        "verdict": "Degraded",
        "reason": "IpcacheEntryMissing",
        "divergentHop": {
            "name": "ipcache-lookup",
            "node": "node2",
            "reason": "IpcacheEntryMissing",
            "message": "",
        },
        "lastRun": {
            "id": "a",
            "startTime": "2026-01-01T00:00:00.000Z",
            "endTime": "2026-01-01T00:00:00.010Z",
            "trigger": "Schedule",
        },
        "paths": [
            {
                "source": {"pod": "xwing", "node": "node2", "ip": "10.244.1.7"},
                "destination": {},
                "verdict": "Degraded",
                "request": {"exitCode": 0, "timings": {"total": "7.6ms"}},
            }
        ],
    }
    assert apply(apiserver, probe, status) == ""
    head, row = apiserver.run_kubectl("get", "dpp").stdout.splitlines()
    assert head.split() == [
        "NAME",
        "SOURCE",
        "DESTINATION",
        "VERDICT",
        "HOP",
        "REASON",
        "LATENCY",
        "LAST",
        "RUN",
        "AGE",
    ]
    assert row.split()[:7] == [
        *("landing", "default/xwing@node2", "default/deathstar:80", "Degraded"),
        *("ipcache-lookup", "IpcacheEntryMissing", "7.6ms"),
    ]


def test_kubectl_explain_describes_every_field(apiserver: ApiServer, probes: client.CustomObjectsApi) -> None:
    explained = apiserver.run_kubectl("explain", "datapathprobes.status.paths.hops", "--recursive").stdout
    assert "The hops of the path, in path order." in explained
    assert "enum: Ok, Stale, Broken, Unknown" in explained
    assert "<no description>" not in explained
