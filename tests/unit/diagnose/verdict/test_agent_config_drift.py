"""The settings that an agent runs with count, not the ConfigMap; unsupported settings are no fault of a hop."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.agent import agent_config
from datapath_probe.sources.bpf import map_layout
from unit.plans import with_backends
from unit.recorded import names, recorded

FOLDER = b"/tmp/cilium/config-map/"
HEALTHY, BROKEN, LATENT = "healthy-cross-node", "ipcache-wrong-tunnel-endpoint", "ipcache-entry-missing"


def changed(run: PathRun, fact: Fact, change: Callable[[bytes], bytes]) -> PathRun:
    """The run with another answer to this fact."""
    readings = dict(run.evidence.readings)
    answers = [reading for reading in readings[fact] if isinstance(reading, Answer)]
    readings[fact] = tuple(replace(answer, stdout=change(answer.stdout)) for answer in answers)
    return replace(run, evidence=Evidence(readings))


def configured(name: str, key: str, value: str) -> tuple[PathRun, str]:
    """The run of that name, with an agent on the destination's node that was started with this setting; the node."""
    run = recorded(name)
    target = run.plan.backends[0].pod_facts
    assert target is not None
    node = target.node.name

    def change(settings: bytes) -> bytes:
        kept = [line for line in settings.splitlines() if not line.startswith(FOLDER + key.encode() + b":")]
        return b"\n".join([*kept, FOLDER + f"{key}:{value}".encode(), b""])

    return changed(run, agent_config.fact(node), change), node


@pytest.mark.parametrize("name", [HEALTHY, BROKEN, LATENT])
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("enable-wireguard", "true", "encryption by wireguard"),
        ("datapath-mode", "netkit", "datapath-mode netkit"),
        ("tunnel-protocol", "gre", "tunnel-protocol 'gre'"),
    ],
)
def test_a_node_whose_settings_can_not_be_judged_is_unknown(
    name: str, key: str, value: str, words: str
) -> None:
    run, node = configured(name, key, value)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (
        ProbeVerdict.UNKNOWN,
        Reason.UNSUPPORTED_CONFIGURATION,
    )
    assert f"Cilium on {node} runs with {words}" in diagnosis.message
    assert diagnosis.divergence is None
    assert {f.verdict for f in diagnosis.findings} <= {HopVerdict.OK, HopVerdict.UNKNOWN}


def set_apart(name: str, *settings: str) -> tuple[PathRun, str]:
    """The same with other keys than those that were recorded."""
    run, node = configured(name, "ipam", "kubernetes")
    lines = b"".join(FOLDER + f"{setting}\n".encode() for setting in settings)
    return changed(run, agent_config.fact(node), lambda before: before + lines), node


@pytest.mark.parametrize("name", [HEALTHY, BROKEN, LATENT])
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("cni-chaining-mode:aws-cni", "cni-chaining-mode aws-cni"),
        ("cluster-id:3", "a cluster mesh (cluster-id 3)"),
        ("enable-ztunnel:true", "encryption by ztunnel"),
        ("underlay-protocol:ipv6", "underlay-protocol 'ipv6'"),
    ],
)
def test_rare_settings_of_a_node_are_read_too(name: str, setting: str, words: str) -> None:
    run, node = set_apart(name, setting)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert f"Cilium on {node} runs with {words}" in diagnosis.message


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("ipv4-service-loopback-address:169.254.42.9", "ipv4-service-loopback-address 169.254.42.9"),
        ("enable-bpf-clock-probe:true", "enable-bpf-clock-probe true"),
    ],
)
def test_a_difference_from_the_configmap_in_these_is_a_transition(setting: str, words: str) -> None:
    run, node = set_apart(BROKEN, setting)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
    assert f"the agent on {node} runs with {words}" in diagnosis.message


def test_host_routing_is_derived_from_the_nodes_own_settings() -> None:
    run, _ = set_apart("kpr/endpoint-entry-missing@1.18.5", "enable-bpf-masquerade:true")
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
    assert "BPF host routing true, the ConfigMap has false" in diagnosis.message


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enable-wireguard", "true"),
        ("datapath-mode", "netkit"),
        ("routing-mode", "hybrid"),
        ("tunnel-protocol", "gre"),
        ("cluster-id", "3"),
    ],
)
def test_with_unsupported_settings_of_the_cluster_only_the_outcome_is_known(
    name: str, key: str, value: str
) -> None:
    recording = recorded(name)
    plan = replace(recording.plan, config={**recording.plan.config, key: value})
    before, after = diagnose(recording), diagnose(replace(recording, plan=plan, plan_after=plan))
    settled = before.reason not in (Reason.IN_TRANSITION, Reason.DENIAL_NOT_OBSERVED)
    if key == "tunnel-protocol" and plan.config["routing-mode"] == "native":
        return  # not used in this mode
    assert after.verdict is ProbeVerdict.UNKNOWN
    assert after.divergence is None
    assert after.segment is None
    assert {f.verdict for f in after.findings} <= {HopVerdict.OK, HopVerdict.UNKNOWN}
    assert not after.needs_second_look
    if before.met is not None and settled:
        assert after.met == before.met
        assert after.reason is Reason.UNSUPPORTED_CONFIGURATION
        assert ("succeeded" in after.message or "was denied" in after.message) == after.met
        assert "runs with" in after.message


def test_a_change_in_kubernetes_comes_before_unsupported_settings() -> None:
    recording = recorded(BROKEN)
    plan = replace(recording.plan, config={**recording.plan.config, "enable-wireguard": "true"})
    elsewhere = with_backends(plan, replace(plan.backends[0], ip=ip_address("10.244.9.9")))
    diagnosis = diagnose(replace(recording, plan=plan, plan_after=elsewhere))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)


@pytest.mark.parametrize("name", [HEALTHY, BROKEN, LATENT])
def test_an_agent_of_an_unknown_version_is_unknown(name: str) -> None:
    run = recorded(name)
    node = run.plan.source.node.name
    newer = changed(run, map_layout.version(node), lambda settings: settings.replace(b"1.18.5", b"1.21.0"))
    diagnosis = diagnose(newer)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_VERSION)
    assert node in diagnosis.message
    assert "1.21.0" in diagnosis.message
    assert diagnosis.divergence is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("routing-mode", "native"), ("kube-proxy-replacement", "true"), ("enable-endpoint-routes", "true")],
)
def test_an_agent_that_runs_with_other_settings_than_the_configmap_is_in_transition(
    key: str, value: str
) -> None:
    run, node = configured(BROKEN, key, value)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
    assert f"the agent on {node} runs with" in diagnosis.message


def test_a_setting_that_affects_no_hop_may_differ_between_nodes() -> None:
    run, _ = configured(BROKEN, "monitor-aggregation-flags", "syn")
    assert diagnose(run).verdict is ProbeVerdict.BROKEN
