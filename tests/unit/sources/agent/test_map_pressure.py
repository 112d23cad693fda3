"""The metric of the agents that counts the entries of maps."""

import json

import pytest

from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.agent.map_pressure import METRIC, parse
from unit.sources.golden import printed

# Printed by cilium-dbg 1.18.5.
PRINTED = """[
  {"labels": {"map_name": "ct4_global"}, "name": "cilium_bpf_map_pressure", "value": 0.00012177356431222741},
  {"labels": {"map_name": "ipcache_v2"}, "name": "cilium_bpf_map_pressure", "value": 0.000025390625},
  {"labels": {"map_name": "lxc"}, "name": "cilium_bpf_map_pressure", "value": 0.00006103608758678569}
]"""


def test_maps_have_names_without_versions() -> None:
    found = parse(printed(PRINTED))
    assert isinstance(found, dict)
    assert list(found) == ["ct4_global", "ipcache", "lxc"]
    assert found["ipcache"] == pytest.approx(0.000025390625)


@pytest.mark.parametrize("text", ["", "null\n", "[]"])
def test_an_agent_may_not_count_entries(text: str) -> None:
    assert parse(printed(text)) == {}


def test_the_fullest_of_several_maps_counts() -> None:
    metrics = [
        {"name": METRIC, "labels": {"map_name": name}, "value": value}
        for name, value in (("policy_v2_*", 0.2), ("policy_*", 0.7), ("node_map_v2", 0.9))
    ]
    assert parse(printed(json.dumps(metrics))) == {"policy": 0.7}


@pytest.mark.parametrize("text", ["{", '[{"name": 1}]', '[{"name": "x", "labels": {"map_name": 3}}]', "[3]"])
def test_anything_else_is_no_evidence(text: str) -> None:
    assert isinstance(parse(printed(text)), Unavailable)
