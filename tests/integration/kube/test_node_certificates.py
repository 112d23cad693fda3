"""The CA and the certificates of node agents in a real API server, with the rights of the manifests alone."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import yaml
from kubernetes.aio.client import ApiClient

from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.node_certificates import CA_SECRET, NODE_SECRET, NodeCertificates
from datapath_probe.kube.rest import ApiError
from datapath_probe.nodes.certificates.authority import LEAF_LIFE, is_of
from integration.apiserver import ApiServer
from kustomize import MANIFESTS, build

NAMESPACE = "datapath-probe-nodes"


@pytest.fixture
async def operator(apiserver: ApiServer) -> AsyncIterator[ApiClient]:
    """A client with the operator's rights. The Secrets are as after the installation: without data."""
    kinds = {"Namespace", "ServiceAccount", "Secret", "Role", "RoleBinding"}
    objects = [one for one in build(MANIFESTS / "overlays/node-agents") if one["kind"] in kinds]
    applied = apiserver.run_kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert applied.returncode == 0, applied.stderr
    for name in (CA_SECRET, NODE_SECRET):
        apiserver.run_kubectl(
            "patch", "secret", "-n", NAMESPACE, name, "--type=merge", "-p", '{"data": null}'
        )
    async with connect(await load_configuration(str(apiserver.kubeconfig))) as client:
        client.set_default_header("Impersonate-User", "system:serviceaccount:datapath-probe:datapath-probe")
        yield client


def data(apiserver: ApiServer, name: str) -> dict[str, bytes]:
    found = json.loads(apiserver.run_kubectl("get", "secret", "-n", NAMESPACE, name, "-o", "json").stdout)
    return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}


async def test_the_first_operator_makes_the_ca_and_issues(apiserver: ApiServer, operator: ApiClient) -> None:
    certificates = NodeCertificates(operator, NAMESPACE)
    assert certificates.identity is None
    now = datetime.now(UTC)
    await certificates.refresh(now)
    ca, node = data(apiserver, CA_SECRET), data(apiserver, NODE_SECRET)
    assert is_of(node["tls.crt"], ca["tls.crt"])
    assert node["ca.crt"] == ca["tls.crt"]
    assert certificates.identity is not None
    assert is_of(certificates.identity.pair.certificate, ca["tls.crt"])

    await NodeCertificates(operator, NAMESPACE).refresh(now)  # another replica, or the next start
    assert (data(apiserver, CA_SECRET), data(apiserver, NODE_SECRET)) == (ca, node)

    await certificates.refresh(now + LEAF_LIFE * 0.7)
    assert data(apiserver, CA_SECRET) == ca
    assert data(apiserver, NODE_SECRET)["tls.crt"] != node["tls.crt"]


async def test_an_emptied_ca_is_made_again_and_everything_with_it(
    apiserver: ApiServer, operator: ApiClient
) -> None:
    certificates, now = NodeCertificates(operator, NAMESPACE), datetime.now(UTC)
    await certificates.refresh(now)
    before = data(apiserver, CA_SECRET)
    apiserver.run_kubectl(
        "patch", "secret", "-n", NAMESPACE, CA_SECRET, "--type=merge", "-p", '{"data": null}'
    )
    await certificates.refresh(now)
    ca = data(apiserver, CA_SECRET)
    assert ca["tls.crt"] != before["tls.crt"]
    assert is_of(data(apiserver, NODE_SECRET)["tls.crt"], ca["tls.crt"])
    assert certificates.identity is not None
    assert certificates.identity.authority == ca["tls.crt"]


async def test_of_two_operators_one_wins(apiserver: ApiServer, operator: ApiClient) -> None:
    first, second = NodeCertificates(operator, NAMESPACE), NodeCertificates(operator, NAMESPACE)
    now = datetime.now(UTC)
    read = await second._read(CA_SECRET)
    await first.refresh(now)
    with pytest.raises(ApiError):
        await second._write(CA_SECRET, read, {"tls.crt": b"mine"})
    await second.refresh(now)
    assert second.identity is not None
    assert second.identity.authority == data(apiserver, CA_SECRET)["tls.crt"]


async def test_garbage_in_the_secret_is_an_error_and_not_replaced(
    apiserver: ApiServer, operator: ApiClient
) -> None:
    apiserver.run_kubectl(
        *(
            "patch",
            "secret",
            "-n",
            NAMESPACE,
            CA_SECRET,
            "--type=merge",
            "-p",
            '{"stringData": {"tls.crt": "x"}}',
        )
    )
    with pytest.raises(ValueError, match=r"."):
        await NodeCertificates(operator, NAMESPACE).refresh(datetime.now(UTC))
    assert data(apiserver, CA_SECRET) == {"tls.crt": b"x"}
