"""Cilium's manifests for a lab: the chart in Cilium's Go module, rendered with the lab's settings.

In: settings. Out: manifests. Called by `lifecycle`. Uses the official chart, so that config keys, mounts and labels are
those of real clusters, for every Cilium version.
"""

import json
from typing import Any

from lab import gobuild
from lab.paths import CHECKOUT, HERE
from lab.settings import API_PORT, KUBERNETES_VERSION, POD_CIDR, POD_CIDR_V6, Attach, Mode, Settings, node_ip
from lab.shell import run

VALUE_FILES = (CHECKOUT / "manifests/kind/cilium-values.yaml", HERE / "manifests/cilium-values.yaml")

_MODE_VALUES: dict[Mode, dict[str, Any]] = {
    Mode.VXLAN: {},
    Mode.KPR: {"kubeProxyReplacement": True},
    Mode.NATIVE: {"routingMode": "native", "autoDirectNodeRoutes": True, "ipv4NativeRoutingCIDR": POD_CIDR},
}

# The second CIDR has no effect unless routing is native.
_DUAL_STACK: dict[str, Any] = {"ipv6": {"enabled": True}, "ipv6NativeRoutingCIDR": POD_CIDR_V6}


def values(settings: Settings) -> dict[str, Any]:
    """Chart values that depend on the settings; `VALUE_FILES` has the others."""
    return {
        "image": {"tag": f"v{settings.cilium}"},
        "operator": {"image": {"tag": f"v{settings.cilium}"}},
        "k8sServiceHost": node_ip("node1"),
        "k8sServicePort": API_PORT,
        "bpf": {"enableTCX": settings.attach is Attach.TCX},
        "endpointRoutes": {"enabled": settings.endpoint_routes},
        "hubble": {"enabled": settings.hubble},
        **_MODE_VALUES[settings.mode],
        **(_DUAL_STACK if settings.dual_stack else {}),
    }


def manifests(settings: Settings) -> str:
    chart = (
        gobuild.cilium(settings.cilium).module_dir("github.com/cilium/cilium") / "install/kubernetes/cilium"
    )
    files = [flag for file in VALUE_FILES for flag in ("--values", str(file))]
    return run(
        *(gobuild.HELM.build() / "helm", "template", "cilium", chart, "--namespace", "kube-system"),
        *("--kube-version", KUBERNETES_VERSION, *files, "--values", "-"),
        stdin=json.dumps(values(settings)),
    ).stdout
