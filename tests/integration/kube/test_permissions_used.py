"""The operator needs each verb that its roles grant: the roles are compared with the audit log of a real API server."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client import ApiClient

from integration.apiserver import ApiServer
from integration.kube.cluster import PODS, PROBE, PROBES, create, create_probe, delete, eventually, merge
from kustomize import MANIFESTS, build, of_kind

ACCOUNT = "datapath-probe"
OPERATOR = f"system:serviceaccount:{ACCOUNT}:{ACCOUNT}"
ROLES = ("datapath-probe", "datapath-probe-agent-exec", "datapath-probe-source-exec")
PROGRAM = "from datapath_probe.cli.main import main; main()"
AGENTS = "/api/v1/namespaces/kube-system/pods"
# An exec over WebSocket is a GET. Newer API servers authorize it as create, too.
NEEDED_BY_NEWER_SERVERS = {("create", "", "pods/exec")}

CA = {"configMap": {"name": "missing", "key": "ca.crt"}}
TRUSTING = {
    **PROBE,
    "metadata": {"name": "trusting"},
    "spec": {**PROBE["spec"], "request": {"protocol": "HTTPS", "tls": {"caFrom": CA}}},
}

Use = tuple[str, str, str]  # verb, API group, resource


def granted() -> set[Use]:
    objects = build(MANIFESTS / "overlays/all-namespaces")
    roles = of_kind(objects, "Role") + of_kind(objects, "ClusterRole")
    return {
        (verb, group, resource)
        for role in roles
        if role["metadata"]["name"] in ROLES
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(apiserver: ApiServer) -> set[Use]:
    """What the operator has asked for, apart from discovery, which every service account may read."""
    return {_use(event) for event in apiserver.audited(OPERATOR) if "objectRef" in event}


def _use(event: Mapping[str, Any]) -> Use:
    target = event["objectRef"]
    subresource = target.get("subresource")
    resource = f"{target['resource']}/{subresource}" if subresource else target["resource"]
    return event["verb"], target.get("apiGroup", ""), resource


async def create_running_pod(kube: ApiClient, path: str, name: str, container: str, **labels: str) -> None:
    """A pod that looks as if it ran on a node that does not exist."""
    await delete(kube, f"{path}/{name}")
    spec = {"nodeName": "nowhere", "containers": [{"name": container, "image": "image"}]}
    metadata = {"name": name, "labels": labels}
    await create(kube, path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ip = "10.244.7.7" if labels else "10.244.7.8"
    state = {
        "name": container,
        "ready": True,
        "restartCount": 0,
        "image": "image",
        "imageID": "",
        "state": {"running": {}},
    }
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "containerStatuses": [state]}
    await merge(kube, f"{path}/{name}/status", {"status": status})


@contextmanager
def operator(apiserver: ApiServer, folder: Path) -> Iterator[None]:
    """The operator as it is deployed, with the token of its service account."""
    token = apiserver.run_kubectl("create", "token", ACCOUNT, "-n", ACCOUNT).stdout.strip()
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    certificate = Path(config["clusters"][0]["cluster"]["certificate-authority"])
    config["clusters"][0]["cluster"]["certificate-authority"] = str(apiserver.kubeconfig.parent / certificate)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    log = (folder / "operator.log").open("wb")
    argv = (sys.executable, "-c", PROGRAM, "run", "--metrics-host=127.0.0.1", "--metrics-port=0")
    process = subprocess.Popen(
        [*argv, "--kubeconfig", kubeconfig],
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
        log.close()


async def test_the_roles_grant_what_the_operator_uses_and_nothing_else(
    cilium: ApiServer, kube: ApiClient, tmp_path: Path
) -> None:
    objects = yaml.safe_dump_all(build(MANIFESTS / "overlays/all-namespaces"))
    applied = cilium.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=objects)
    assert applied.returncode == 0, applied.stderr
    await create_running_pod(kube, AGENTS, "cilium-of-the-roles", "cilium-agent", **{"k8s-app": "cilium"})
    await create_running_pod(kube, PODS, "xwing", "spaceship")
    await create_running_pod(kube, PODS, "deathstar-0", "deathstar")
    expected = granted() - NEEDED_BY_NEWER_SERVERS
    try:
        with operator(cilium, tmp_path):
            await eventually(lambda: ("watch", "datapath-probe.dev", "datapathprobes") in used(cilium))
            await create_probe(kube, "of-the-roles")
            await create(kube, PROBES, TRUSTING)
            await eventually(lambda: used(cilium) >= expected, within_s=20)
        assert used(cilium) - NEEDED_BY_NEWER_SERVERS == expected
    finally:
        await delete(kube, f"{PROBES}/of-the-roles")
        await delete(kube, f"{PROBES}/trusting")
        for name in ("xwing", "deathstar-0"):
            await delete(kube, f"{PODS}/{name}")
        await delete(kube, f"{AGENTS}/cilium-of-the-roles")
        cilium.run_kubectl("delete", "clusterrolebinding", "datapath-probe-source-exec")
