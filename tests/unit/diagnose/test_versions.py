"""Cilium 1.16, 1.17 and 1.20 are judged like 1.18: recorded runs, converted to the layouts of these versions."""

import pytest

from datapath_probe.api.vocabulary import HOP_ORDER, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.sources.bpf import map_layout
from datapath_probe.sources.bpf.map_layout import Layout
from faults.recordings import bundles, index, passes
from unit.diagnose.versions import VERSIONS, Version, as_of
from unit.kinds import entry_of
from unit.recorded import names, recorded

OF_1_18 = [name for name in names() if "@" not in name or name.endswith("@1.18.5")]
# The tail calls of a program, and the owner of the program in a slot, are known for these versions only. Up to 1.17, a
# policy map entry with a proxy does not show whether a policy requires it.
OF_1_18_AND_1_19 = {
    "source-tail-call-missing",
    "source-policy-program-of-another-make",
    "destination-policy-program-of-another-make",
    "destination-policy-program-of-another-pod",
    "policy-map-leads-to-a-proxy-source",
    "policy-map-leads-to-a-proxy-destination",
}


def essentials(diagnosis: Diagnosis) -> object:
    """What users act on: verdict, reason, hop and segment."""
    divergence = diagnosis.divergence
    hop = (divergence.hop, divergence.node) if divergence else None
    return diagnosis.verdict, diagnosis.reason, hop, diagnosis.segment and diagnosis.segment.after


def end(diagnosis: Diagnosis) -> int:
    """The end of the segment of a loss. It may be longer if less of the path can be judged."""
    return HOP_ORDER[diagnosis.segment.before] if diagnosis.segment else 0


@pytest.mark.parametrize("version", VERSIONS.values(), ids=list(VERSIONS))
@pytest.mark.parametrize("name", OF_1_18)
def test_a_run_has_the_same_verdict_in_each_version(name: str, version: Version) -> None:
    run = recorded(name)
    before, after = diagnose(run), diagnose(as_of(run, version))
    assert essentials(after) == essentials(before)
    assert end(after) >= end(before)
    if before.verdict is ProbeVerdict.HEALTHY:
        assert {finding.verdict for finding in after.findings} == {HopVerdict.OK}


@pytest.mark.timeout(180)  # dozens of runs, each judged as four versions
@pytest.mark.parametrize("mode", ["tc", "no-hubble"])
def test_faults_of_the_bench_have_the_same_verdict_in_each_version(mode: str) -> None:
    archive = passes()[f"cilium-1.18.5-{mode}"]
    compared = sorted(index(archive).keys() - OF_1_18_AND_1_19)[::3]  # a sample, to save time
    assert len(compared) > 10
    for fault, bundle in bundles(archive):
        if fault not in compared:
            continue
        run = Bundle.from_json(bundle).run
        before = diagnose(run)
        for version in VERSIONS.values():
            after = diagnose(as_of(run, version))
            assert essentials(after) == essentials(before), (fault, version)
            assert end(after) >= end(before), (fault, version)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=list(VERSIONS))
def test_each_version_has_its_own_maps(version: Version) -> None:
    run = as_of(recorded("healthy-service-cross-node"), version)
    node = run.plan.source.node.name
    maps = map_layout.parse(run.evidence.latest(map_layout.version(node)))
    assert isinstance(maps, Layout)
    assert maps.version == version.number
    pinned = {entry_of(fact) or fact.get("map") or "" for fact, _ in run.evidence}
    assert {name for name in pinned if str(name).startswith("cilium_ipcache")} == {maps.ipcache_map}
    policies = [str(name) for name in pinned if str(name).startswith("cilium_policy_")]
    assert policies
    assert all(name.removeprefix(f"{maps.policy_map}_").isdecimal() for name in policies)
