"""Addresses that earlier versions wrote as empty texts."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from datapath_probe.diagnose.run.upgrade_addresses import upgraded_addresses
from datapath_probe.plan.plan import Plan
from unit.recorded import names, recorded

PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)


def written(name: str) -> tuple[Plan, dict[str, Any]]:
    """A recorded plan, and its document."""
    plan = recorded(name).plan
    return plan, PLAN.dump_python(plan, mode="json")


def test_the_cluster_ip_of_a_headless_service_was_none_as_a_text() -> None:
    plan, document = written("healthy-headless")
    assert plan.service is not None
    assert (plan.service.cluster_ip, plan.service.headless) == (None, True)
    old = document["target"]["service"]
    del old["headless"]
    old["cluster_ip"] = "None"
    assert PLAN.validate_python(upgraded_addresses(document)) == plan


def test_a_service_with_an_address_is_not_headless() -> None:
    plan, document = written("healthy-service-cross-node")
    del document["target"]["frontend"]["service"]["headless"]
    assert PLAN.validate_python(upgraded_addresses(document)) == plan


def test_a_cilium_endpoint_without_a_node_had_an_empty_address() -> None:
    plan, document = written("healthy-cross-node")
    assert plan.source.endpoint is not None
    pod_without = document["source"], document["target"]["backend"]["target"]
    for pod in pod_without:
        pod["endpoint"]["node_ip"] = ""
    read = PLAN.validate_python(upgraded_addresses(document))
    assert read.source == replace(plan.source, endpoint=replace(plan.source.endpoint, node_ip=None))
    [backend] = read.backends
    assert backend.pod_facts is not None
    assert backend.pod_facts.endpoint is not None
    assert backend.pod_facts.endpoint.node_ip is None


def test_what_is_no_plan_is_left_alone() -> None:
    refused = {"reason": "SourceNotFound", "message": "", "source": "", "destination": ""}
    assert upgraded_addresses(refused) is refused
    assert upgraded_addresses(None) is None


@pytest.mark.parametrize("name", names())
def test_a_plan_of_this_version_is_as_it_was(name: str) -> None:
    _, document = written(name)
    assert upgraded_addresses(document) == document
