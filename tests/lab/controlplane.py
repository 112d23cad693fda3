"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler, as processes of node1. Called by `lifecycle`."""

from pathlib import Path

from lab.node import Node
from lab.paths import STATE
from lab.pki import PKI
from lab.settings import API_PORT, SERVICE_CIDR, SERVICE_CIDR_V6, Settings

ROLES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_ETCD = "http://127.0.0.1:2379"


def commands(node: Node, binaries: Path, settings: Settings) -> dict[str, list[str]]:
    """role → command line, in the order in which they start."""
    return {
        "etcd": [
            "etcd",
            f"--data-dir={STATE / 'etcd'}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # a lab does not survive a power failure
            "--log-level=warn",
        ],
        "kube-apiserver": [
            str(binaries / "kube-apiserver"),
            f"--etcd-servers={_ETCD}",
            f"--secure-port={API_PORT}",
            f"--advertise-address={node.ip}",
            f"--client-ca-file={PKI / 'ca.crt'}",
            f"--tls-cert-file={PKI / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={PKI / 'kube-apiserver.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            f"--service-cluster-ip-range={settings.per_family(SERVICE_CIDR, SERVICE_CIDR_V6)}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={PKI / 'sa.pub'}",
            f"--service-account-signing-key-file={PKI / 'sa.key'}",
            f"--kubelet-client-certificate={PKI / 'kubelet-client.crt'}",
            f"--kubelet-client-key={PKI / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
        ],
        "kube-controller-manager": [
            str(binaries / "kube-controller-manager"),
            f"--kubeconfig={PKI / 'kube-controller-manager.conf'}",
            f"--root-ca-file={PKI / 'ca.crt'}",
            f"--service-account-private-key-file={PKI / 'sa.key'}",
            "--use-service-account-credentials",
            "--leader-elect=false",
        ],
        "kube-scheduler": [
            str(binaries / "kube-scheduler"),
            f"--kubeconfig={PKI / 'kube-scheduler.conf'}",
            "--leader-elect=false",
        ],
    }


def start(node: Node, binaries: Path, settings: Settings) -> None:
    for role, argv in commands(node, binaries, settings).items():
        node.start_role(role, argv)
