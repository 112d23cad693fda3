"""The operator's HTTP servers: /metrics on one port, /healthz and /readyz on another.

In: `Metrics` and two health checks. Out: HTTP responses. Run by `app`. Health has a port of its own, so that clients of
/metrics can't use up the connections that the kubelet needs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from ..publish.metrics.metrics import Metrics

Handler = Callable[[web.Request], Awaitable[web.Response]]
HealthCheck = Callable[[], Mapping[str, str]]
"""The problems by component; empty if healthy."""

# Of each port. The oldest connection makes room for a new one: a scrape ends within milliseconds.
MAX_CONNECTIONS = 32
# From accept to the last byte, with one request: ends half-sent requests, idle connections and clients that don't read.
CONNECTION_TIMEOUT_S = 15.0
# Prometheus sends fewer than 10 headers, and none of 400 bytes.
MAX_HEADERS, MAX_HEADER_BYTES = 32, 2048
_BACKLOG = 16


class PortError(Exception):
    """Cannot listen on the port; the message gives the reason."""


@asynccontextmanager
async def serving(host: str | None, port: int, handlers: Mapping[str, Handler]) -> AsyncIterator[str]:
    """Serve on this host (None: all addresses) and port (0: any free port); yields "host:port". `handlers`: by path.
    Raises PortError.
    """
    app = web.Application()
    for path, handler in handlers.items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=0.5,
        max_headers=MAX_HEADERS,
        max_field_size=MAX_HEADER_BYTES,
        max_line_size=MAX_HEADER_BYTES,
    )
    await runner.setup()
    server = runner.server
    if server is None:
        raise RuntimeError("the runner has no server after its setup")
    try:
        listening = await _listen(_bounded(server), host, port)
        timeouts = asyncio.create_task(_end_old_connections(server), name=f"timeouts of port {port}")
        try:
            yield "{}:{}".format(*listening.sockets[0].getsockname())
        finally:
            timeouts.cancel()
            listening.close()
    finally:
        await runner.cleanup()


def metrics_handlers(metrics: Metrics) -> Mapping[str, Handler]:
    """/metrics."""

    async def answer(request: web.Request) -> web.Response:
        body, content_type = metrics.scrape(request.headers.get("Accept", ""))
        return _last(web.Response(body=body, headers={"Content-Type": content_type}))

    return {"/metrics": answer}


def health_handlers(unhealthy: HealthCheck, unready: HealthCheck) -> Mapping[str, Handler]:
    """/healthz and /readyz."""
    return {"/healthz": _check(unhealthy), "/readyz": _check(unready)}


def _check(check: HealthCheck) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        problems = check()
        text = "".join(f"{name}: {reason}\n" for name, reason in problems.items())
        return _last(web.Response(text=text or "ok\n", status=503 if problems else 200))

    return answer


def _last(response: web.Response) -> web.Response:
    """The only response on its connection: a client that reused the connection could meet its timeout."""
    response.force_close()
    return response


async def _listen(connect: Callable[[], web.RequestHandler], host: str | None, port: int) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(connect, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise PortError(f"cannot listen on port {port}: {error.strerror or error}") from error


def _bounded(server: web.Server) -> Callable[[], web.RequestHandler]:
    """Make connections of the server, as many as are allowed."""

    def connect() -> web.RequestHandler:
        for oldest in server.connections[: 1 - MAX_CONNECTIONS]:
            _end(oldest)
        return server()

    return connect


async def _end_old_connections(server: web.Server) -> None:
    """aiohttp itself has no timeout for a request, nor for a client that does not read the response."""
    loop = asyncio.get_running_loop()
    since: dict[web.RequestHandler, float] = {}
    while True:
        since = {connection: since.get(connection, loop.time()) for connection in server.connections}
        for connection, started in since.items():
            if loop.time() - started >= CONNECTION_TIMEOUT_S:
                _end(connection)
        await asyncio.sleep(CONNECTION_TIMEOUT_S / 15)


def _end(connection: web.RequestHandler) -> None:
    if connection.transport is not None:
        connection.transport.abort()
