"""Cilium's manifests for a lab: the chart in Cilium's Go module, rendered with the lab's settings.

In: settings. Out: manifests. Called by `lifecycle`. Uses the official chart, so that config keys, mounts and labels are
those of real clusters, for every Cilium version.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from lab import gobuild
from lab.settings import API_PORT, KUBERNETES_VERSION, POD_CIDR, POD_CIDR_V6, Attach, Mode, Settings, node_ip
from lab.shell import run

# The chart's lists without SYS_RESOURCE, which the machine may lack.
_AGENT_CAPABILITIES = ["CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "SYS_MODULE", "SYS_ADMIN", "DAC_OVERRIDE",
                       "FOWNER", "SETGID", "SETUID"]  # fmt: skip
_CLEANUP_CAPABILITIES = ["NET_ADMIN", "SYS_MODULE", "SYS_ADMIN"]

_LEFT_OUT = ("bash", "dash", "perl", "bpftool")  # Debian's sh is dash

_MODE_VALUES: dict[Mode, dict[str, Any]] = {
    Mode.VXLAN: {},
    Mode.KPR: {"kubeProxyReplacement": True},
    Mode.NATIVE: {"routingMode": "native", "autoDirectNodeRoutes": True, "ipv4NativeRoutingCIDR": POD_CIDR},
    Mode.PRODUCTION: {"kubeProxyReplacement": True, "bpf.masquerade": True},
}

# The second has no effect unless routing is native.
_DUAL_STACK: dict[str, Any] = {"ipv6.enabled": True, "ipv6NativeRoutingCIDR": POD_CIDR_V6}


def values(settings: Settings) -> dict[str, Any]:
    """The chart's values that are not its defaults, by their names. docs/lab.md tells why they differ."""
    return {
        "image.repository": "localhost/lab/cilium",
        "image.pullPolicy": "Never",
        "operator.image.repository": "localhost/lab/cilium-operator",
        "operator.image.pullPolicy": "Never",
        "operator.replicas": 1,
        "rollOutCiliumPods": True,
        "k8sServiceHost": node_ip("node1"),
        "k8sServicePort": API_PORT,
        "envoy.enabled": False,
        "hubble.tls.enabled": False,
        "sysctlfix.enabled": False,
        "securityContext.capabilities.ciliumAgent": _AGENT_CAPABILITIES,
        "securityContext.capabilities.cleanCiliumState": _CLEANUP_CAPABILITIES,
        **_MODE_VALUES[settings.mode],
        **({"bpf.enableTCX": False} if settings.attach is Attach.TC else {}),
        **({"endpointRoutes.enabled": True} if settings.endpoint_routes else {}),
        **({} if settings.hubble else {"hubble.enabled": False}),
        **(_DUAL_STACK if settings.dual_stack else {}),
        **settings.values,
    }


def chart(settings: Settings) -> Path:
    """Directory of the chart of this version."""
    module = gobuild.cilium(settings.cilium).module_dir("github.com/cilium/cilium")
    return module / "install/kubernetes/cilium"


def manifests(settings: Settings) -> str:
    rendered = _rendered(settings)
    return _without_programs(rendered) if settings.slim_agent else rendered


def _without_programs(rendered: str) -> str:
    """The same with programs hidden in the agent's container. Init containers keep them: they are scripts."""
    objects = [one for one in yaml.safe_load_all(rendered) if one]
    [agent] = [one for one in objects if (one["kind"], one["metadata"]["name"]) == ("DaemonSet", "cilium")]
    pod = agent["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "nothing", "hostPath": {"path": "/dev/null", "type": "CharDevice"}})
    [container] = [one for one in pod["containers"] if one["name"] == "cilium-agent"]
    container["volumeMounts"] += [
        {"name": "nothing", "mountPath": f"/usr/bin/{program}"} for program in _LEFT_OUT
    ]
    container.pop("lifecycle", None)  # a script
    return yaml.safe_dump_all(objects)


def _rendered(settings: Settings) -> str:
    own = [f"--set-json={name}={json.dumps(value)}" for name, value in values(settings).items()]
    return run(
        *(gobuild.HELM.build() / "helm", "template", "cilium", chart(settings), "--namespace", "kube-system"),
        *("--kube-version", KUBERNETES_VERSION, *own),
    ).stdout
