"""Command lines, configuration and chart values of the lab, as data."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import yaml

from lab import cilium, controlplane, gobuild, packages, preconditions
from lab.kubelet import kubelet_config
from lab.node import Node
from lab.paths import CHECKOUT, HERE
from lab.settings import CILIUM_MODULES, DNS_SERVICE_IP, Attach, Ip, Mode, Settings


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.VXLAN, {}),
        (Mode.KPR, {"kubeProxyReplacement": True}),
        (Mode.NATIVE, {"routingMode": "native", "autoDirectNodeRoutes": True}),
        (Mode.PRODUCTION, {"kubeProxyReplacement": True, "bpf.masquerade": True}),
    ],
)
def test_a_mode_becomes_chart_values(mode: Mode, expected: dict[str, object]) -> None:
    values = cilium.values(Settings(mode=mode))
    assert values.items() >= expected.items()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(attach=Attach.TC), "bpf.enableTCX"),
        (Settings(hubble=False), "hubble.enabled"),
        (Settings(endpoint_routes=True), "endpointRoutes.enabled"),
    ],
)
def test_a_setting_changes_a_value_of_the_chart_that_is_otherwise_the_default(
    settings: Settings, name: str
) -> None:
    assert cilium.values(settings).keys() - cilium.values(Settings()).keys() == {name}


def test_the_documentation_lists_every_value_that_is_not_the_default_of_the_chart() -> None:
    every = (
        Settings(mode, attach, endpoint_routes=routes, hubble=hubble, ip=ip)
        for mode, attach, routes, hubble, ip in product(Mode, Attach, (True, False), (True, False), Ip)
    )
    used = {f"{name}: {json.dumps(value)}" for one in every for name, value in cilium.values(one).items()}
    section = (CHECKOUT / "docs/lab.md").read_text().partition("\n## Values of the Cilium chart\n")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    listed = [entry for row in rows for entry in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert sorted(listed) == sorted(used)
    assert all(row.strip("| ").split(" | ")[1].strip() for row in rows), "each with its reason"


def test_the_agent_needs_no_capability_that_the_machine_may_lack() -> None:
    values = cilium.values(Settings())
    for container in ("ciliumAgent", "cleanCiliumState"):
        assert "SYS_RESOURCE" not in values[f"securityContext.capabilities.{container}"]


@pytest.mark.parametrize("version", CILIUM_MODULES)
def test_the_operator_of_cilium_has_the_allocator_of_the_default_ipam_mode(version: str) -> None:
    assert gobuild.cilium(version).tags == "ipam_provider_operator"


def test_in_dual_stack_every_program_knows_both_versions_of_ip() -> None:
    dual = Settings(ip=Ip.DUAL)
    flags = [
        flag for argv in controlplane.commands(Node("node1"), Path("/bin"), dual).values() for flag in argv
    ]
    assert "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112" in flags
    assert cilium.values(dual)["ipv6.enabled"] is True
    assert "ipv6.enabled" not in cilium.values(Settings())


def test_the_api_server_starts_after_etcd() -> None:
    roles = list(controlplane.commands(Node("node1"), Path("/bin"), Settings()))
    assert roles == list(controlplane.ROLES)
    assert roles.index("etcd") < roles.index("kube-apiserver")


def test_manifest_and_kubelet_have_the_same_dns_address() -> None:
    documents = yaml.safe_load_all((HERE / "manifests/coredns.yaml").read_text())
    service = next(d for d in documents if d["kind"] == "Service")
    assert kubelet_config(Node("node1"))["clusterDNS"] == [service["spec"]["clusterIP"]] == [DNS_SERVICE_IP]


@pytest.mark.parametrize("version", CILIUM_MODULES)
def test_a_cilium_build_contains_its_version(version: str) -> None:
    """cilium-dbg shows an empty version unless the variable has the three words of a release."""
    ldflags = gobuild.cilium(version).ldflags
    assert f"-X 'github.com/cilium/cilium/pkg/version.ciliumVersion={version} lab 1970-01-01'" in ldflags


@pytest.mark.parametrize(("version", "folder"), CILIUM_MODULES.items())
def test_a_cilium_version_is_pinned_by_its_module(version: str, folder: str) -> None:
    assert f"github.com/cilium/cilium v{version}\n" in (
        HERE / "modules" / folder / "go.mod"
    ).read_text().replace(" // indirect", "")


def test_every_program_is_a_tool_of_its_module() -> None:
    """`go mod tidy` keeps the dependencies of tools only."""
    programs = [gobuild.KUBERNETES, gobuild.COREDNS, gobuild.HELM, gobuild.HELM_4]
    modules = [*programs, *map(gobuild.cilium, CILIUM_MODULES)]
    for module in modules:
        tools = (module.source / "go.mod").read_text().partition("\ntool")[2].replace("(", "").split()
        assert set(module.programs) <= set(tools)


def test_installed_services_are_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "_POLICY", policy)
    with packages._no_service_starts():
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()


def test_an_existing_policy_rc_d_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("the machine's own")
    monkeypatch.setattr(packages, "_POLICY", policy)
    with pytest.raises(RuntimeError), packages._no_service_starts():
        raise RuntimeError("apt failed")
    assert policy.read_text() == "the machine's own"
    assert [p.name for p in tmp_path.iterdir()] == ["policy-rc.d"]


@pytest.mark.parametrize(
    ("attribute", "value", "sentence"),
    [
        ("sys.platform", "darwin", "it needs Linux"),
        ("os.geteuid", lambda: 1000, "must run as root"),
        ("bpf_in_kernel", lambda: False, "no BPF file system"),
        ("supported_cgroups", lambda root: False, "cgroups must be mounted"),
        ("packages.obtainable", lambda: False, "no apt-get"),
        ("toolchain.obtainable", lambda: False, "Go toolchain"),
    ],
)
def test_a_missing_precondition_is_reported_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, attribute: str, value: object, sentence: str
) -> None:
    for name in (
        "os.geteuid",
        "bpf_in_kernel",
        "supported_cgroups",
        "packages.obtainable",
        "toolchain.obtainable",
    ):
        monkeypatch.setattr(f"lab.preconditions.{name}", (lambda: 0) if "uid" in name else (lambda *_: True))
    assert preconditions.unmet() is None
    monkeypatch.setattr(f"lab.preconditions.{attribute}", value)
    reason = preconditions.unmet()
    assert reason is not None
    assert sentence in reason
    assert "\n" not in reason
