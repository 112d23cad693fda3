"""Command lines, configuration and chart values of the lab, as data."""

from pathlib import Path

import pytest
import yaml

from lab import cilium, controlplane, gobuild, packages, preconditions
from lab.kubelet import kubelet_config
from lab.node import Node
from lab.paths import HERE
from lab.settings import CILIUM_MODULES, DNS_SERVICE_IP, Attach, Ip, Mode, Settings


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.VXLAN, {}),
        (Mode.KPR, {"kubeProxyReplacement": True}),
        (Mode.NATIVE, {"routingMode": "native", "autoDirectNodeRoutes": True}),
    ],
)
def test_a_mode_becomes_chart_values(mode: Mode, expected: dict[str, object]) -> None:
    values = cilium.values(Settings(mode=mode))
    assert values.items() >= expected.items()


def test_the_shared_values_are_those_of_vxlan() -> None:
    shared = yaml.safe_load(cilium.VALUE_FILES[0].read_text())
    assert (shared["routingMode"], shared["tunnelProtocol"], shared["kubeProxyReplacement"]) == (
        "tunnel",
        "vxlan",
        False,
    )


def test_attach_tc_disables_tcx() -> None:
    assert cilium.values(Settings(attach=Attach.TC))["bpf"] == {"enableTCX": False}


def test_the_agent_needs_no_capability_that_the_machine_may_lack() -> None:
    lab_values = yaml.safe_load(cilium.VALUE_FILES[1].read_text())
    granted = lab_values["securityContext"]["capabilities"].values()
    assert all("SYS_RESOURCE" not in names for names in granted)


def test_in_dual_stack_every_program_knows_both_versions_of_ip() -> None:
    dual = Settings(ip=Ip.DUAL)
    flags = [
        flag for argv in controlplane.commands(Node("node1"), Path("/bin"), dual).values() for flag in argv
    ]
    assert "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112" in flags
    assert "--cluster-cidr=10.244.0.0/16,fd00::/104" in flags
    assert cilium.values(dual)["ipv6"] == {"enabled": True}
    assert "ipv6" not in cilium.values(Settings())


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
    modules = [gobuild.KUBERNETES, gobuild.COREDNS, gobuild.HELM, *map(gobuild.cilium, CILIUM_MODULES)]
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
