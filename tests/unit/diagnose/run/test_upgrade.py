"""Bundles of format 1, which stored evidence by command, are converted when they are read."""

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.format_1 import fact_of, is_more_config
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.agent import agent_config
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.capture import pcap
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps.map_keys import MAP_KEYS
from datapath_probe.tools.commands import argv_of
from faults.recordings import bundles, passes
from unit.recorded import BUNDLES

VXLAN = BUNDLES / "cilium-1.18.5" / "vxlan"


def saved(name: str) -> dict[str, Any]:
    """A document of format 1."""
    document: dict[str, Any] = json.loads((VXLAN / f"{name}.json").read_text())
    assert document["format"] == 1
    return document


def bundle(document: dict[str, Any]) -> Bundle:
    return Bundle.from_json(json.dumps(document).encode())


def commands(document: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """The commands of a document, each with a node that it was run on."""
    return {tuple(entry["argv"]): entry["node"] for entry in document["evidence"]}


@pytest.mark.parametrize("name", passes())
def test_every_command_of_the_recorded_faults_has_its_own_fact(name: str) -> None:
    known: dict[Fact, tuple[str, ...]] = {}
    for _, text in bundles(passes()[name]):
        document = json.loads(text)
        if document["format"] != 1:
            continue
        for argv, node in commands(document).items():
            fact = fact_of(node, argv)
            assert fact is not None, argv
            if not is_more_config(argv):
                assert known.setdefault(fact, argv) == argv
            if fact.kind in MAP_KEYS:
                pinned, key = MAP_KEYS[fact.kind](fact)
                assert argv[-len(key) - 3 :] == (
                    f"/sys/fs/bpf/tc/globals/{pinned}", "key", "hex", *key.hex(" ").split(),
                )  # fmt: skip


@pytest.mark.parametrize("path", sorted(BUNDLES.glob("cilium-*/*/*.json")), ids=lambda path: path.stem)
def test_nothing_of_a_recorded_run_is_omitted(path: Path) -> None:
    read_ = Bundle.from_json(path.read_bytes())
    assert read_.notes == ()
    again = Bundle.from_json(read_.to_json())
    assert again.run.evidence.readings == read_.run.evidence.readings


def test_an_unknown_command_is_omitted_with_a_note() -> None:
    document = saved("healthy-cross-node")
    whole = bundle(document)
    document["evidence"] += [
        {"node": "node1", "argv": ["uname", "-a"], "readings": []},
        {"node": "node1", "argv": ["ip", "-j", "route", "get", "x"], "readings": []},
    ]
    foreign = bundle(document)
    assert foreign.run == whole.run
    assert [note.partition(":")[0] for note in foreign.notes] == [
        "an answer of uname -a on node1 is omitted",
        "an answer of ip -j route get x on node1 is omitted",
    ]
    assert diagnose(foreign.run) == diagnose(whole.run)


def with_config() -> tuple[dict[str, Any], dict[str, Any]]:
    """A document with an agent's configuration, without the second part of it; the entry of the first."""
    document = saved("healthy-cross-node")
    document["evidence"] = [e for e in document["evidence"] if not is_more_config(e["argv"])]
    document["plan"]["config"]["cluster-id"] = "7"
    return document, next(e for e in document["evidence"] if e["argv"][0] == "grep")


def config_of(document: dict[str, Any], node: str) -> list[str]:
    """The last answer about an agent's configuration, line by line."""
    reading = bundle(document).run.evidence.latest(Fact(FactKind.AGENT_CONFIG, node))
    assert isinstance(reading, Answer)
    return reading.stdout.decode().splitlines()


FOLDER = "/tmp/cilium/config-map"


def test_keys_without_an_answer_are_those_of_the_configmap() -> None:
    document, first = with_config()
    assert f"{FOLDER}/cluster-id:7" in config_of(document, first["node"])


def test_both_parts_of_the_configuration_are_one_fact() -> None:
    document, first = with_config()
    more = [*first["argv"][:3], f"{FOLDER}/cluster-id", f"{FOLDER}/underlay-protocol"]
    second = {**first["readings"][-1], "stdout": f"{FOLDER}/cluster-id:9\n"}
    document["evidence"].append({"node": first["node"], "argv": more, "readings": [second]})
    lines = config_of(document, first["node"])
    assert [line for line in lines if "cluster-id" in line] == [f"{FOLDER}/cluster-id:9"]


@pytest.mark.parametrize(
    "damaged",
    [
        {"stdout": ""},
        {"stdout": f"{FOLDER}/routing-mo"},
        {"stdout": "null\n"},
        {"truncated": True},
        {"exitCode": 126},
    ],
)
def test_the_second_part_of_the_configuration_does_not_stand_in_for_the_first(
    damaged: dict[str, Any],
) -> None:
    document, first = with_config()
    first["readings"] = [{**reading, **damaged} for reading in first["readings"]]
    run = bundle(document).run
    reading = run.evidence.latest(Fact(FactKind.AGENT_CONFIG, first["node"]))
    assert isinstance(reading, Answer)
    assert isinstance(agent_config.parse(reading), Unavailable)
    assert reading.stdout.decode() == first["readings"][-1]["stdout"]


def test_a_second_part_that_is_no_configuration_was_asked_for_in_vain() -> None:
    document, first = with_config()
    more = [*first["argv"][:3], f"{FOLDER}/cluster-id", f"{FOLDER}/underlay-protocol"]
    second = {**first["readings"][-1], "stdout": "sh: 1: grep: not found\n", "exitCode": 127}
    document["evidence"].append({"node": first["node"], "argv": more, "readings": [second]})
    assert f"{FOLDER}/cluster-id:7" in config_of(document, first["node"])


def test_reasons_have_the_names_of_today() -> None:
    document = saved("healthy-cross-node")
    gone = {"unavailable": "PodGone", "message": "gone", "at": 0.0}
    document["evidence"][0]["readings"] = [gone]
    document["request"]["reading"] = gone
    run = bundle(document).run
    assert run.request.reading == Unavailable(EvidenceError.POD_NOT_FOUND, "gone")
    assert Unavailable(EvidenceError.POD_NOT_FOUND, "gone") in [r for _, said in run.evidence for r in said]


@given(
    st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=3, unique=True),
    st.integers(1, 65535),
    st.none() | st.integers(1, 65535),
)
def test_a_capture_is_known_by_its_filter(clients: list[str], port: int, tunnel_port: int | None) -> None:
    fact = pcap.fact("node1", [IPv4Address(client) for client in clients], port, tunnel_port, 12)
    assert fact_of("node1", argv_of(fact)) == fact


@pytest.mark.parametrize(
    "argv",
    [
        (
            *("bpftool", "-j", "map", "lookup", "pinned"),
            "/sys/fs/bpf/tc/globals/cilium_lxc",
            "key",
            "hex",
            "00",
        ),
        ("ip", "-j", "-d", "link", "show", "dev", "--help"),
    ],
)
def test_an_impossible_parameter_is_rejected(argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each has its own message
        fact_of("node1", argv)


@pytest.mark.parametrize(
    "argv",
    [
        *((), ("",), ("true",), ("grep",), ("grep", "-r", "", "/etc"), ("perl", "-e", "1", "2")),
        *(("nsenter",), ("nsenter", "--net=/var/run/cilium/netns/cni-1"), ("nsenter", "--net=/x", "true")),
    ],
)
def test_an_unknown_command_has_no_fact(argv: tuple[str, ...]) -> None:
    assert fact_of("node1", argv) is None


def test_inside_a_pod_it_is_a_fact_of_its_namespace() -> None:
    assert fact_of("n", argv_of(links.pod_link("n", "cni-1", "eth0"))) == links.pod_link("n", "cni-1", "eth0")
    assert fact_of("n", argv_of(bpftool.attached("n", "eth0"))) == bpftool.attached("n", "eth0")
