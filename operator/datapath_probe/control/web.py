"""The operator's HTTP server: /metrics, /healthz, /readyz.

In: a metrics registry and two health checks. Out: HTTP responses. Run by `app`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Handler = Callable[[web.Request], Awaitable[web.Response]]
HealthCheck = Callable[[], Mapping[str, str]]
"""The problems by component; empty if healthy."""


class PortError(Exception):
    """Cannot listen on the port; the message gives the reason."""


@asynccontextmanager
async def serving(
    host: str | None, port: int, metrics: CollectorRegistry, unhealthy: HealthCheck, unready: HealthCheck
) -> AsyncIterator[str]:
    """Serve on this host (None: all addresses) and port (0: any free port); yields "host:port". Raises
    PortError.
    """
    app = web.Application()
    app.router.add_get("/metrics", _metrics(metrics))
    app.router.add_get("/healthz", _check(unhealthy))
    app.router.add_get("/readyz", _check(unready))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PortError(f"cannot listen on port {port}: {error.strerror or error}") from error
        yield "{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


def _metrics(registry: CollectorRegistry) -> Handler:
    one_at_a_time = asyncio.Lock()

    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with one_at_a_time:
            body = await asyncio.to_thread(
                encode, registry
            )  # encoding would block the event loop for too long
        return web.Response(body=body, headers={"Content-Type": content_type})

    return answer


def _check(check: HealthCheck) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        problems = check()
        text = "".join(f"{name}: {reason}\n" for name, reason in problems.items())
        return web.Response(text=text or "ok\n", status=503 if problems else 200)

    return answer
