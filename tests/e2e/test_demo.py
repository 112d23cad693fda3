"""The demo: four probes are Healthy, the fifth is Broken on purpose; and the output of kubectl."""

import json

import pytest

from datapath_probe.api.vocabulary import HopName
from e2e.probes import RUN_S, Probe, divergence
from e2e.waiting import until
from lab.cluster import Lab

HEALTHY = ["same-node", "cross-node", "service-from-tiefighter", "service-from-xwing"]
BROKEN = "exhaust-port"

Demo = dict[str, Probe]


@pytest.mark.parametrize("name", HEALTHY)
def test_four_probes_are_healthy_on_every_hop(demo: Demo, name: str) -> None:
    status = demo[name].wait_for("Healthy")
    hops = [hop["name"] for hop in status["paths"][0]["hops"]]
    assert hops == sorted(hops, key=list(HopName).index)
    assert {hop["verdict"] for hop in status["paths"][0]["hops"]} == {"Ok"}
    assert "divergentHop" not in status
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"Ready": "True", "ExpectationMet": "True", "PathHealthy": "True"}


def test_the_exhaust_port_is_broken_at_the_application(demo: Demo) -> None:
    status = demo[BROKEN].wait_for("Broken")
    node = status["paths"][0]["destination"]["node"]
    assert divergence(status) == ("Broken", "destination-response", node, "ConnectionRefused")
    assert status["paths"][0]["request"]["exitCode"] == 7


def test_only_the_status_is_written_and_it_is_small(demo: Demo) -> None:
    for probe in demo.values():
        found = probe.object()
        assert "finalizers" not in found["metadata"]
        assert not found["metadata"].get("annotations")
        assert len(json.dumps(found["status"])) <= 32 * 1024


def test_kubectl_get_shows_verdict_hop_and_reason(lab: Lab, demo: Demo) -> None:
    for name in HEALTHY:
        demo[name].wait_for("Healthy")
    demo[BROKEN].wait_for("Broken")
    header, *rows = lab.kubectl("get", "dpp", "-n", "default").splitlines()
    columns = ["NAME", "SOURCE", "DESTINATION", "VERDICT", "HOP", "REASON", "LATENCY", "LAST RUN", "AGE"]
    assert header.split() == " ".join(columns).split()
    by_name = {row.split()[0]: row.split()[1:] for row in rows}
    assert by_name[BROKEN][2:5] == ["Broken", "destination-response", "ConnectionRefused"]
    assert {by_name[name][2] for name in HEALTHY} == {"Healthy"}


def test_kubectl_describe_starts_with_the_problem_and_the_next_step(lab: Lab, demo: Demo) -> None:
    demo[BROKEN].wait_for("Broken")

    def describe() -> tuple[str, str]:
        described = lab.kubectl("describe", "dpp", BROKEN, "-n", "default")
        status, _, events = described.partition("\nStatus:")[2].partition("\nEvents:")
        return status, events

    until("the Event is there", lambda: "Warning  ProbeBroken" in describe()[1], RUN_S, otherwise=describe)
    status, _ = describe()
    first_message = next(line for line in status.splitlines() if line.strip().startswith("Message:"))
    for text in ("Broken at destination-response on node", "ConnectionRefused"):
        assert text in first_message
    divergent_hop = status.partition("Divergent Hop:")[2].splitlines()[1:6]
    assert any(line.strip().startswith("Next:") for line in divergent_hop)
