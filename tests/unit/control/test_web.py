"""The operator's web servers, on real sockets."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress

import aiohttp
import pytest
from aiohttp.web import Request, Response

from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.control import web
from datapath_probe.control.web import PortError, health_handlers, metrics_handlers, serving
from datapath_probe.publish.metrics.metrics import Metrics
from unit.publish.samples import NOW, probe

HALF_SENT = 1000


class Servers:
    """Both servers, with controllable health checks. `metrics`, `health`: their addresses."""

    def __init__(self) -> None:
        self.unhealthy: dict[str, str] = {}
        self.unready: dict[str, str] = {}
        self.metrics = self.health = ""

    async def get(self, address: str, path: str, accept: str = "*/*") -> tuple[int, str, str]:
        """Status, content type and body."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://{address}{path}", headers={"Accept": accept}) as response,
        ):
            return response.status, response.headers["Content-Type"], await response.text()


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    made = Servers()
    metrics = Metrics(lambda: NOW)
    metrics.show(probe(), ProbeStatus())
    health = health_handlers(lambda: made.unhealthy, lambda: made.unready)
    async with (
        serving("127.0.0.1", 0, metrics_handlers(metrics)) as made.metrics,
        serving("127.0.0.1", 0, health) as made.health,
    ):
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that start after this have short timeouts."""
    monkeypatch.setattr(web, "CONNECTION_TIMEOUT_S", 0.3)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of a thousand connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_metrics_are_served_in_the_accepted_format(servers: Servers) -> None:
    status, kind, text = await servers.get(servers.metrics, "/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert 'datapath_probe_info{namespace="default",probe="probe",severity=""} 1.0' in text
    accept = "application/openmetrics-text; version=1.0.0"
    status, kind, text = await servers.get(servers.metrics, "/metrics", accept)
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_health_and_readiness_list_the_problems(servers: Servers) -> None:
    assert (await servers.get(servers.health, "/healthz"))[0] == 200
    assert (await servers.get(servers.health, "/readyz"))[0] == 200
    servers.unhealthy = {"scheduler": "no heartbeat for 42 s"}
    servers.unready = {"pods": "not listed yet", "nodes": "forbidden"}
    assert (await servers.get(servers.health, "/healthz"))[::2] == (503, "scheduler: no heartbeat for 42 s\n")
    expected = (503, "pods: not listed yet\nnodes: forbidden\n")
    assert (await servers.get(servers.health, "/readyz"))[::2] == expected


async def test_each_port_serves_only_its_paths(servers: Servers) -> None:
    assert (await servers.get(servers.metrics, "/healthz"))[0] == 404
    assert (await servers.get(servers.health, "/metrics"))[0] == 404


async def test_a_port_in_use_is_reported_in_one_line(servers: Servers) -> None:
    port = int(servers.metrics.rpartition(":")[2])
    with pytest.raises(PortError, match=f"cannot listen on port {port}: .*in use"):
        async with serving("127.0.0.1", port, {}):
            pass


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_half_sent_requests_neither_stay_nor_keep_others_out(servers: Servers) -> None:
    with ExitStack() as sockets:
        clients = [await half_sent(servers.metrics, sockets) for _ in range(HALF_SENT)]
        assert (await servers.get(servers.health, "/healthz"))[0] == 200
        assert (await servers.get(servers.metrics, "/metrics"))[0] == 200
        open_ones = [client for client in clients if not await is_closed(client, within_s=0.001)]
        assert len(open_ones) <= web.MAX_CONNECTIONS
        assert set(open_ones) <= set(clients[-web.MAX_CONNECTIONS :]), "the oldest are closed"


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n"],
)
@pytest.mark.usefixtures("impatient")
async def test_a_request_that_is_never_completed_is_closed(servers: Servers, sent: bytes) -> None:
    with ExitStack() as sockets:
        client = await _connected(servers.metrics, sockets)
        await asyncio.get_running_loop().sock_sendall(client, sent)
        assert await is_closed(client, within_s=10)


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_reads_too_slowly_is_closed() -> None:
    body, loop = b"x" * 64 * 1024 * 1024, asyncio.get_running_loop()

    async def answer(_: Request) -> Response:
        return Response(body=body)

    with ExitStack() as sockets:
        async with serving("127.0.0.1", 0, {"/metrics": answer}) as address:
            client = await _connected(address, sockets)
            await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            received = 0
            with suppress(ConnectionResetError):
                while part := await loop.sock_recv(client, 1 << 16):
                    received += len(part)
                    await asyncio.sleep(0.05)  # a minute for all of it
            assert 0 < received < len(body)


async def test_a_connection_ends_with_its_response(servers: Servers) -> None:
    with ExitStack() as sockets:
        client = await _connected(servers.health, sockets)
        await asyncio.get_running_loop().sock_sendall(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        response = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), 10)
        assert b"Connection: close" in response
        assert await is_closed(client, within_s=10)


async def test_a_large_header_is_refused(servers: Servers) -> None:
    async with aiohttp.ClientSession() as session:
        url, headers = f"http://{servers.metrics}/metrics", {"X-Large": "x" * 4096}
        async with session.get(url, headers=headers) as response:
            assert response.status == 400


async def _connected(address: str, sockets: ExitStack) -> socket.socket:
    host, _, port = address.rpartition(":")
    client = sockets.enter_context(socket.socket())
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, (host, int(port)))
    return client


async def half_sent(address: str, sockets: ExitStack) -> socket.socket:
    client = await _connected(address, sockets)
    await asyncio.get_running_loop().sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
    return client


async def is_closed(client: socket.socket, within_s: float) -> bool:
    """Whether the server closes the connection, with or without a last response."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            while await loop.sock_recv(client, 4096):
                pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
