"""kubernetes.aio and kopf share one authentication, from a kubeconfig or as a pod, and follow rotated tokens."""

import asyncio
import gc
import itertools
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import kopf
import pytest
import yaml
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import incluster_config

from datapath_probe.kube import rest
from datapath_probe.kube.client import LoginError, connect, load_configuration, session
from integration.apiserver import ApiServer
from integration.kube.cluster import create, delete, eventually

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@dataclass(frozen=True, slots=True)
class Token:
    """The file of a projected token. `good`: the token that the API server accepts."""

    path: Path
    good: str

    def rotate(self, token: str) -> None:
        """Replace the token."""
        self.path.write_text(token)


class Later(datetime):
    """A clock that advances a minute at every call, so that the token is due."""

    looks = itertools.count(1)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(minutes=next(cls.looks))


@pytest.fixture
def service_account(apiserver: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Token:
    """The environment of a pod; returns its token."""
    kubeconfig = yaml.safe_load(apiserver.kubeconfig.read_text())
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    url = urlsplit(cluster["server"])
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(url.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(url.port))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", cluster["certificate-authority"])
    token = Token(tmp_path / "token", user["token"])
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token.path))
    token.rotate(token.good)
    return token


async def test_rotated_token_is_read_again(service_account: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    service_account.rotate("expired")
    async with connect(await load_configuration()) as client:
        with pytest.raises(rest.ApiError) as refused:
            await rest.request(client, "GET", "/api/v1/nodes", {})
        assert refused.value.status == 401
        service_account.rotate(service_account.good)
        monkeypatch.setattr(
            incluster_config, "datetime", SimpleNamespace(datetime=Later, timedelta=timedelta)
        )
        await rest.request(client, "GET", "/api/v1/nodes", {})
        async with session(client) as kopfs, kopfs.get(f"{client.configuration.host}/api/v1/nodes") as answer:
            assert answer.status == 200


async def test_context_can_be_chosen(apiserver: ApiServer, tmp_path: Path) -> None:
    kubeconfig = yaml.safe_load(apiserver.kubeconfig.read_text())
    kubeconfig["users"].append({"name": "stranger", "user": {"token": "wrong"}})
    kubeconfig["contexts"].append({"name": "other", "context": {"cluster": "tests", "user": "stranger"}})
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    async with connect(await load_configuration(str(path))) as client:
        await rest.request(client, "GET", "/api/v1/nodes", {})
    async with connect(await load_configuration(str(path), "other")) as client:
        with pytest.raises(rest.ApiError, match="Unauthorized"):
            await rest.request(client, "GET", "/api/v1/nodes", {})


@pytest.mark.parametrize("context", [None, "nowhere"])
async def test_without_credentials_the_error_names_the_sources(
    apiserver: ApiServer, tmp_path: Path, context: str | None
) -> None:
    path = str(apiserver.kubeconfig if context else tmp_path / "missing")
    with pytest.raises(LoginError, match=path):
        await load_configuration(path, context)


async def test_a_vanished_peer_is_detected_on_every_connection(kube: ApiClient) -> None:
    url = f"{kube.configuration.host}/api/v1/nodes?watch=true&resourceVersion=0"
    async with session(kube) as any_session, any_session.get(url) as watch:
        assert watch.connection
        assert watch.connection.transport
        connected: socket.socket = watch.connection.transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle_s, every_s, times = (
            connected.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle_s + every_s * times <= 25


@pytest.mark.filterwarnings("default")  # aiohttp drops the connection that is being opened
async def test_a_session_closed_while_connecting_raises_that_it_is_closed(kube: ApiClient) -> None:
    any_session = session(kube)

    async def close(*_: Any) -> None:
        await any_session.close()

    connecting = aiohttp.TraceConfig()
    for moment in (connecting.on_connection_create_end, connecting.on_connection_reuseconn):
        moment.append(close)
    connecting.freeze()
    any_session.trace_configs.append(connecting)
    with pytest.raises(RuntimeError, match="Session is closed"):
        await any_session.get(f"{kube.configuration.host}/api/v1/nodes")
    gc.collect()


@pytest.mark.filterwarnings("default")  # warnings of kopf itself are not tested here
async def test_kopf_uses_the_same_authentication_and_renews_it(
    service_account: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incluster_config, "datetime", SimpleNamespace(datetime=Later, timedelta=timedelta))
    registry = kopf.OperatorRegistry()
    tokens = ["expired", service_account.good]
    seen: list[str] = []
    async with connect(await load_configuration()) as client:

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> kopf.AiohttpSession:
            service_account.rotate(tokens.pop(0))
            return kopf.AiohttpSession(server=client.configuration.host, aiohttp_session=session(client))

        @kopf.on.event("configmaps", registry=registry)
        def event(name: str, **event: Any) -> None:
            seen.append(f"{event['type']} {name}")

        stop = asyncio.Event()
        operator = asyncio.create_task(
            kopf.operator(registry=registry, namespaces=["default"], standalone=True, stop_flag=stop)
        )
        await eventually(lambda: not tokens)
        await create(client, CONFIG_MAPS, {"metadata": {"name": "seen-by-kopf"}})
        await eventually(lambda: "None seen-by-kopf" in seen or "ADDED seen-by-kopf" in seen)
        await delete(client, f"{CONFIG_MAPS}/seen-by-kopf")
        await eventually(lambda: "DELETED seen-by-kopf" in seen)
        stop.set()
        await operator
        await rest.request(client, "GET", "/api/v1/nodes", {})  # kopf closed its session, not the pool
