"""containerd and kubelet of one node. Called by `lifecycle` and `cluster`."""

from pathlib import Path

import yaml

from lab.images import PAUSE_IMAGE
from lab.node import Node
from lab.pki import PKI
from lab.settings import DNS_SERVICE_IP, Settings, node_ip_v6
from lab.shell import run, wait_until

ROLES = ("containerd", "kubelet")
CONTAINERD_CONFIG = f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true  # the machine may lack CAP_SYS_RESOURCE
"""
CNI_LOOPBACK = Path("/usr/lib/cni/loopback")


def kubelet_config(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.ip,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "/dev/null",  # there is no DNS server outside the cluster
        "failSwapOn": False,
        "failCgroupV1": False,
        # All nodes share the machine's disk and memory: a node must not evict pods because of another's usage.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "syncFrequency": "5s",
    }


def start_containerd(node: Node) -> None:
    config = node.dir / "containerd.toml"
    config.write_text(CONTAINERD_CONFIG)
    node.run("cp", str(CNI_LOOPBACK), "/opt/cni/bin/")
    node.start_role("containerd", ["containerd", "--config", str(config), "--log-level", "warn"])
    wait_for_containerd(node)


def wait_for_containerd(node: Node) -> None:
    """Wait until containerd responds: a kubelet without a container runtime exits."""
    wait_until(
        f"containerd of {node.name} answers",
        lambda: node.run("ctr", "version", check=False).returncode == 0,
        timeout_s=30,
    )


def start_kubelet(node: Node, binaries: Path, settings: Settings) -> None:
    config = node.dir / "kubelet.yaml"
    config.write_text(yaml.safe_dump(kubelet_config(node)))
    node.start_role(
        "kubelet",
        [
            str(binaries / "kubelet"),
            f"--config={config}",
            f"--kubeconfig={PKI / f'{node.name}.conf'}",
            f"--hostname-override={node.name}",
            f"--node-ip={settings.per_family(node.ip, node_ip_v6(node.name))}",
        ],
    )


def load_image(node: Node, archive: Path) -> None:
    """Import a docker-archive into the running node."""
    with archive.open("rb") as content:
        run(*node.enter("ctr", "--namespace=k8s.io", "image", "import", "-"), stdin=content)
