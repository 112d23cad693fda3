"""The cluster's certificates and kubeconfigs, created with openssl; the lab is its own certificate authority.

Called by `lifecycle`.
"""

import base64
from pathlib import Path

import yaml

from lab.paths import STATE
from lab.settings import API_PORT, API_SERVICE_IP, Settings, node_ip
from lab.shell import run

PKI = STATE / "pki"
ADMIN_KUBECONFIG = STATE / "kubeconfig"
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = "3650"


def create(settings: Settings, forwarded_port: int) -> None:
    PKI.mkdir(mode=0o700)
    run("openssl", "req", "-x509", *_EC, "-keyout", PKI / "ca.key", "-out", PKI / "ca.crt", "-days", _DAYS,
        "-subj", "/CN=lab-ca")  # fmt: skip
    run(
        "openssl",
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-out",
        PKI / "sa.key",
    )
    run("openssl", "pkey", "-in", PKI / "sa.key", "-pubout", "-out", PKI / "sa.pub")
    _certificate("kube-apiserver", "/CN=kube-apiserver", [
        "DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc",
        "IP:127.0.0.1", f"IP:{API_SERVICE_IP}", f"IP:{node_ip('node1')}",
    ])  # fmt: skip
    _certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    inside = f"https://{node_ip('node1')}:{API_PORT}"
    for name in ("kube-controller-manager", "kube-scheduler"):
        _certificate(name, f"/CN=system:{name}")
        _kubeconfig(PKI / f"{name}.conf", name, inside)
    for node in settings.node_names:
        _certificate(node, f"/O=system:nodes/CN=system:node:{node}")
        _kubeconfig(PKI / f"{node}.conf", node, inside)
    _certificate("admin", "/O=system:masters/CN=admin")
    _kubeconfig(ADMIN_KUBECONFIG, "admin", f"https://127.0.0.1:{forwarded_port}")


def _certificate(name: str, subject: str, alternative_names: list[str] | None = None) -> None:
    extensions = (
        f"subjectAltName={','.join(alternative_names)}" if alternative_names else "basicConstraints=CA:FALSE"
    )
    request = run("openssl", "req", *_EC, "-keyout", PKI / f"{name}.key", "-subj", subject)
    extension_file = PKI / f"{name}.ext"
    extension_file.write_text(extensions)
    run(
        *("openssl", "x509", "-req", "-days", _DAYS, "-out", PKI / f"{name}.crt", "-extfile", extension_file),
        *("-CA", PKI / "ca.crt", "-CAkey", PKI / "ca.key", "-CAcreateserial"),
        stdin=request.stdout,
    )


def _kubeconfig(path: Path, user: str, server: str) -> None:
    def inline(name: str) -> str:
        return base64.b64encode((PKI / name).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": inline("ca.crt")}
    credentials = {"client-certificate-data": inline(f"{user}.crt"), "client-key-data": inline(f"{user}.key")}
    lab = "datapath-probe-lab"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": lab, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": lab, "context": {"cluster": lab, "user": user}}],
        "current-context": lab,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(kubeconfig))
