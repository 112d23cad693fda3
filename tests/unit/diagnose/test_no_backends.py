"""A Service that nobody is ready behind: told by Kubernetes alone, whoever would translate."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.diagnose import diagnose
from datapath_probe.diagnose.run import Run
from unit.diagnose.told import without
from unit.recorded import recorded

BY_PACKET, BY_SOCKET = "no-ready-backends", "kpr/no-ready-backends@1.18.5"


def from_host(run: Run) -> Run:
    """The run as if its source were in the host's network."""
    node = run.plan.source.node
    assert node.cilium is not None
    pod = replace(run.plan.source.pod, host_network=True, ips=node.cilium.internal_ips)
    plan = replace(run.plan, source=replace(run.plan.source, pod=pod, endpoint=None))
    return replace(run, plan=plan, plan_after=plan)


def named(run: Run) -> tuple[ProbeVerdict, HopName | None, Reason]:
    told = diagnose(run)
    return told.verdict, told.divergence.hop if told.divergence else None, told.reason


NOBODY = (ProbeVerdict.BROKEN, HopName.SERVICE_LOOKUP, Reason.NO_READY_BACKENDS)


@pytest.mark.parametrize("name", [BY_PACKET, BY_SOCKET])
def test_a_host_that_asks_for_a_service_without_endpoints_is_told_so(name: str) -> None:
    assert named(from_host(recorded(name))) == NOBODY


def test_nothing_is_asked_of_cilium_where_others_translate() -> None:
    assert named(without(from_host(recorded(BY_PACKET)), "_services_v2")) == NOBODY


@pytest.mark.parametrize("name", [BY_PACKET, BY_SOCKET])
def test_it_is_told_where_the_node_does_not_answer(name: str) -> None:
    assert named(without(recorded(name), "_services_v2")) == NOBODY
