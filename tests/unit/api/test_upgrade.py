"""A status that an earlier version wrote is read under the current names, and keeps everything that counts."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from datapath_probe.api.crd.schema import crd
from datapath_probe.api.status.probe_status import Counters, ProbeStatus
from datapath_probe.api.status.upgrade import DEPRECATED, RETIRED, upgraded
from unit.api.statuses import largest_status

OLD: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data/status/2026-11-29.json").read_bytes())


def read() -> ProbeStatus:
    return ProbeStatus.from_object(OLD)


def test_counters_are_kept() -> None:
    assert read().counters == Counters(
        runs=5, failures=2, consecutive_failures=2, consecutive_path_failures=2, skipped=1
    )


def test_a_condition_keeps_its_status_and_its_times_under_its_new_type() -> None:
    conditions = read().to_object()["conditions"]
    assert [condition["type"] for condition in conditions] == ["ExpectationMet", "PathHealthy", "Ready"]
    for new, old in zip(conditions, OLD["conditions"], strict=True):
        assert {**new, "type": old["type"]} == old


def test_an_old_condition_is_dropped_if_the_new_one_exists() -> None:
    conditions = upgraded(
        {"conditions": [{"type": "Reachable"}, {"type": "ExpectationMet", "status": "True"}]}
    )
    assert conditions["conditions"] == [{"type": "ExpectationMet", "status": "True"}]


def test_the_profile_of_the_path_is_kept() -> None:
    attachment = {"attachMode": "tcx", "programs": ["cil_from_container"]}
    assert read().to_object()["pathProfile"] == {
        "lastChangeTime": "2026-09-21T14:15:20.100Z",
        "lastChange": "routing vxlan → geneve",
        "changeCount": 1,
        "destination": "lead/deathstar:80",
        "routing": "geneve",
        "loadBalancing": "PerPacket",
        "endpointRoutes": False,
        "sources": [{"pod": "xwing", "node": "node2"}],
        "backends": [{"pod": "deathstar-0", "node": "node1"}, {"pod": "deathstar-1", "node": "node2"}],
        "backendCount": 2,
        "nodeAttachments": [{"node": "node1", **attachment}, {"node": "node2", **attachment}],
    }


def test_program_names_that_were_cut_off_count_as_unknown() -> None:
    entries = [{"node": "node1", "attach": "tcx", "programs": "cil_from_container, a_tracer_with_a_l…"}]
    profile = ProbeStatus.from_object({**OLD, "way": {**OLD["way"], "entries": entries}}).path_profile
    assert profile is not None
    assert profile.node_attachments == ()


@pytest.mark.parametrize("garbage", [None, -1, "many"])
def test_a_number_of_changes_that_can_not_be_read_does_not_spoil_the_profile(garbage: object) -> None:
    profile = ProbeStatus.from_object(
        {**OLD, "counters": {**OLD["counters"], "pathChanges": garbage}}
    ).path_profile
    before = read().path_profile
    assert before is not None
    assert profile == before.model_copy(update={"change_count": 0})


def test_history_is_kept() -> None:
    history = read().history
    assert [entry.path_change for entry in history] == [None, None, "routing vxlan → geneve", None, None]
    assert [entry.path_healthy for entry in history] == ["False", "False", "True", "True", "True"]
    assert history[-1].time == datetime(2026, 9, 21, 14, 13, 20, 100000, UTC)


def test_the_next_step_is_split_off_the_message() -> None:
    hop = read().divergent_hop
    assert hop is not None
    assert hop.message.endswith("but it is on 172.30.0.11.")
    assert (hop.next or "").startswith("Compare cilium-dbg bpf ipcache get on that node")


def test_all_other_fields_except_captured_packets_are_kept() -> None:
    renamed = {"way", "pathProfile", "conditions", "history", "counters", "divergentHop", "capture"}
    new = read().to_object()
    assert (new.pop("outages"), new.pop("failures")) == ([], [])
    assert {name: new[name] for name in new.keys() - renamed - {"paths"}} == {
        name: OLD[name] for name in OLD.keys() - renamed - {"paths"}
    }
    assert "capture" not in new
    assert [path["hops"] for path in new["paths"]] == [path["hops"] for path in OLD["paths"]]


def test_old_fields_are_not_written_again() -> None:
    text = json.dumps(read().to_object())
    assert not [name for name in ("Reachable", '"way"', '"change"', "pathChanges") if name in text]


def test_a_current_status_is_read_unchanged() -> None:
    written = largest_status().to_object()
    assert upgraded(written) == written


@pytest.mark.parametrize("field", ["conditions", "counters", "history", "way", "divergentHop", "paths"])
@pytest.mark.parametrize(
    "garbage", [None, 7, "x", [], ["x"], {}, {"type": []}, [{"type": []}, {"change": []}]]
)
def test_an_unreadable_field_does_not_affect_the_others(field: str, garbage: object) -> None:
    status = ProbeStatus.from_object({**OLD, field: garbage})
    assert (status.verdict, status.source) == ("Broken", "lead/xwing@node2")


def test_the_crd_keeps_old_fields_until_they_have_been_read() -> None:
    root = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    for *parents, name in RETIRED:
        node = root
        for parent in parents:
            node = node["properties"][parent]
            node = node.get("items", node)
        assert node["properties"][name]["description"] == DEPRECATED


def test_an_unreadable_item_of_a_list_spoils_no_other() -> None:
    conditions = [{**OLD["conditions"][0], "status": "Perhaps"}, *OLD["conditions"][1:]]
    history = [{**OLD["history"][0], "hop": "hop-of-the-next-version"}, None, *OLD["history"][1:]]
    status = ProbeStatus.from_object({**OLD, "conditions": conditions, "history": history})
    assert status.conditions == read().conditions[1:]
    assert status.history == read().history[1:]


@pytest.mark.parametrize("garbage", [None, -1, "many", [], 1.5])
def test_an_unreadable_counter_spoils_no_other(garbage: object) -> None:
    status = ProbeStatus.from_object({**OLD, "counters": {**OLD["counters"], "failures": garbage}})
    assert status.counters == read().counters.model_copy(update={"failures": 0})


def test_what_a_list_does_not_make_readable_is_left_out() -> None:
    capture = {"time": "2026-09-21T14:17:20.100Z", "packets": [{"at": "0ms"}], "omittedPackets": 0}
    status = ProbeStatus.from_object({**OLD, "capture": capture})
    assert status.capture is None
    assert status.counters == read().counters
