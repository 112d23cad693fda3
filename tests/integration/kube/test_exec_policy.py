"""The admission policy for the operator's execs, by a real API server: what the operator runs passes, nothing else.

No kubelet runs the pods. An exec that is admitted fails because their node does not exist.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import product

import pytest
import yaml
from kubernetes.aio.client import ApiClient

from datapath_probe.addresses import IpFamily
from datapath_probe.api.spec.request import Method
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.kube.client import load_configuration
from datapath_probe.kube.exec.agent_exec import AgentExec
from datapath_probe.kube.exec.connect import ExecClient, open_exec
from datapath_probe.kube.exec.failure import ExecError
from datapath_probe.kube.exec.one_shot import SourceExec
from datapath_probe.kube.exec.shell import ShellChannel
from datapath_probe.sources.capture import pcap
from datapath_probe.sources.curl import request as curl
from integration.apiserver import ApiServer
from integration.kube.cluster import create, delete
from kustomize import MANIFESTS, build

OPERATOR = "system:serviceaccount:datapath-probe:datapath-probe"
AGENT = ContainerRef("kube-system", "cilium-of-the-policy", "cilium-agent", "")
SOURCE = ContainerRef("default", "source-of-the-policy", "app", "")
ADMITTED = 'pods "nowhere" not found'  # its node; no pod has this name
CAPTURE = ("perl", "-e", "print 1", "", "1", "1")
CURL = ("curl", "-q", "--config", "-")
DENIED = [
    (SOURCE, ("sh",)),
    (SOURCE, ("bash", "-c", "curl -q")),
    (SOURCE, CAPTURE),
    (SOURCE, ("curl",)),
    (SOURCE, ("curl", "--output", "/etc/passwd", "-q")),
    (SOURCE, ("/usr/bin/curl", "-q")),
    (SOURCE, ("curl -q", "-q")),
    (SOURCE, ("env", "curl", "-q")),
    (replace(SOURCE, container="cilium-agent"), ("sh",)),
    (AGENT, CURL),
    (AGENT, ("sh", "-c", "id")),
    (AGENT, ("bash",)),
    (AGENT, ("/bin/sh",)),
    (AGENT, ("nsenter", "-t", "1", "-a")),
    (AGENT, ("perl", "/tmp/script.pl")),
    (AGENT, ("perl", "-p", "print 1", "", "1", "1")),
    (AGENT, ("cilium-dbg", "endpoint", "list")),
    (replace(AGENT, container="config"), ("sh",)),
    (replace(AGENT, container="config"), CURL),
]


@contextmanager
def installed_everywhere(cilium: ApiServer) -> Iterator[ApiServer]:
    """The API server with the operator's manifests, where the pods of all namespaces may be sources."""
    everywhere = build(MANIFESTS / "overlays/all-namespaces")
    applied = cilium.run_kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(everywhere)
    )
    assert applied.returncode == 0, applied.stderr
    yield cilium
    cilium.run_kubectl("delete", "clusterrolebinding", "datapath-probe-source-exec")


@pytest.fixture(scope="module")
def installed(cilium: ApiServer) -> Iterator[ApiServer]:
    with installed_everywhere(cilium) as server:
        yield server


async def create_pod(kube: ApiClient, target: ContainerRef, *others: str) -> None:
    path = f"/api/v1/namespaces/{target.namespace}/pods"
    await delete(kube, f"{path}/{target.pod}")
    containers = [{"name": name, "image": "image"} for name in (target.container, *others)]
    spec = {"nodeName": "nowhere", "containers": containers}
    metadata = {"name": target.pod}
    await create(kube, path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


@asynccontextmanager
async def connected(installed: ApiServer, kube: ApiClient) -> AsyncIterator[ExecClient]:
    """The operator's client for execs, with the rights of its ServiceAccount, once the policy is in force."""
    await create_pod(kube, AGENT, "config")
    await create_pod(kube, SOURCE, "cilium-agent")
    client = ExecClient(await load_configuration(str(installed.kubeconfig)))
    client.set_default_header("Impersonate-User", OPERATOR)  # type: ignore[no-untyped-call]
    try:
        async with asyncio.timeout(30):
            while (await refusal(client, SOURCE, "true")).message == ADMITTED:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        yield client
    finally:
        await client.close()
        for target in (AGENT, SOURCE):
            await delete(kube, f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}")


@pytest.fixture
async def operator(installed: ApiServer, kube: ApiClient) -> AsyncIterator[ExecClient]:
    async with connected(installed, kube) as client:
        yield client


async def refusal(client: ExecClient, target: ContainerRef, *argv: str) -> ExecError:
    """Why this command did not run."""
    with pytest.raises(ExecError) as refused:
        async with open_exec(client, target, argv, stdin=True):
            pass
    return refused.value


def requests() -> Iterator[curl.CurlRequest]:
    """Every kind of request that a probe can send."""
    plain = curl.CurlRequest("http", "cart.shop.svc", 80, "GET", "/", (), b"", 5.0, 20000, keep_body=False)
    for method, keep_body, family in product(Method, (False, True), (None, *IpFamily)):
        yield replace(plain, method=method, keep_body=keep_body, family=family)
    for tls in (curl.Tls(trusted="-----BEGIN"), curl.Tls(verify=False), curl.Tls(server_name="cart.test")):
        yield replace(plain, protocol="https", tls=tls)
    yield replace(plain, protocol="tcp")
    yield replace(plain, path="/?a=b", headers=(("X-A", "1"),), body=b"x", timeout_s=0.25)


async def test_every_request_of_a_probe_is_admitted(operator: ExecClient) -> None:
    for request in requests():
        argv, stdin = curl.argv(request)
        reading = await SourceExec(operator).run(SOURCE, argv, stdin=stdin, timeout_s=5, stdout_limit=1)
        assert isinstance(reading, Unavailable)
        assert reading.message == ADMITTED, argv


async def test_the_command_channel_to_an_agent_is_admitted(operator: ExecClient) -> None:
    with pytest.raises(ExecError, match=ADMITTED):
        await ShellChannel(operator, AGENT).opened()


@pytest.mark.parametrize("tunnel_port", [None, 8472])
@pytest.mark.parametrize("clients", [("10.0.0.1",), ("10.0.0.1", "10.0.0.2")])
async def test_every_packet_capture_is_admitted(
    operator: ExecClient, clients: tuple[str, ...], tunnel_port: int | None
) -> None:
    fact = pcap.fact("nowhere", [IPv4Address(client) for client in clients], 20000, tunnel_port, 5.0)
    reading = await AgentExec(SourceExec(operator)).attend(
        AGENT, fact, started=asyncio.Event(), stop=asyncio.Event(), timeout_s=5, stdout_limit=1
    )
    assert isinstance(reading, Unavailable)
    assert reading.message == ADMITTED


@pytest.mark.parametrize(("target", "argv"), DENIED, ids=str)
async def test_everything_else_is_denied(
    operator: ExecClient, target: ContainerRef, argv: tuple[str, ...]
) -> None:
    denied = await refusal(operator, target, *argv)
    assert denied.reason is EvidenceError.EXEC_FORBIDDEN
    assert "ValidatingAdmissionPolicy 'datapath-probe-exec'" in denied.message
    assert "the operator may run only" in denied.message


@pytest.mark.parametrize(
    ("target", "query"),
    [
        pytest.param(SOURCE, "container=app&command=curl&command=-q&tty=true", id="a terminal"),
        pytest.param(SOURCE, "container=app", id="no command"),
        pytest.param(AGENT, "command=sh", id="no container"),
    ],
)
async def test_options_that_the_operator_never_uses_are_denied(
    installed: ApiServer, operator: ExecClient, target: ContainerRef, query: str
) -> None:
    path = f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}/exec?stdin=true&{query}"
    denied = installed.run_kubectl("get", "--raw", path, "--as", OPERATOR)
    assert "Error from server (Forbidden)" in denied.stderr
    assert "ValidatingAdmissionPolicy 'datapath-probe-exec'" in denied.stderr


async def test_execs_of_others_are_not_affected(installed: ApiServer, operator: ExecClient) -> None:
    client = ExecClient(await load_configuration(str(installed.kubeconfig)))
    try:
        assert (await refusal(client, SOURCE, "bash")).message == ADMITTED
    finally:
        await client.close()
