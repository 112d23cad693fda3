"""How a probe changes from the default schedule to cron, by each kind of apply."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from integration.apiserver import ApiServer
from unit.api.spec_parts import Spec, spec
from unit.api.specs import cron, interval

NAME = "nightly"


@pytest.fixture
def stored(apiserver: ApiServer, probes: client.CustomObjectsApi) -> Iterator[None]:
    yield
    apiserver.run_kubectl("delete", "dpp", NAME)


def apply(apiserver: ApiServer, spec: Spec, *options: str) -> str:
    """The errors of kubectl."""
    body = {
        "apiVersion": "datapath-probe.dev/v1alpha1",
        "kind": "DatapathProbe",
        "metadata": {"name": NAME},
        "spec": spec,
    }
    return apiserver.run_kubectl("apply", *options, "-f", "-", stdin=json.dumps(body)).stderr


def schedule(apiserver: ApiServer) -> Any:
    found = apiserver.run_kubectl("get", "dpp", NAME, "-o", "jsonpath={.spec.schedule}").stdout
    return json.loads(found) if found else None


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_cron_replaces_the_default_schedule(
    apiserver: ApiServer, stored: None, options: tuple[str, ...]
) -> None:
    assert apply(apiserver, spec(), *options) == ""
    assert apply(apiserver, cron("30 2 * * *", "Europe/Berlin"), *options) == ""
    assert schedule(apiserver) == {"cron": "30 2 * * *", "timeZone": "Europe/Berlin"}


def test_a_default_that_an_earlier_version_stored_is_removed_by_null(
    apiserver: ApiServer, stored: None
) -> None:
    assert apply(apiserver, interval("60s"), "--server-side", "--field-manager=earlier-default") == ""
    refused = apply(apiserver, cron("30 2 * * *"))
    assert "interval: null removes an interval that is stored" in refused
    fixed = spec(schedule={"cron": "30 2 * * *", "interval": None})
    assert "invalid" not in apply(apiserver, fixed)
    assert schedule(apiserver) == {"cron": "30 2 * * *"}
