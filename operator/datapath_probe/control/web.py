"""The operator's own HTTP server: /metrics, /healthz, /readyz. Owned by `app`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Handler = Callable[[web.Request], Awaitable[web.Response]]
Trouble = Callable[[], Mapping[str, str]]
"""What is wrong, by name; nothing if all is well."""


class PortError(Exception):
    """The port can't be listened on; the message says why."""


@asynccontextmanager
async def serving(
    host: str | None, port: int, metrics: CollectorRegistry, unhealthy: Trouble, unready: Trouble
) -> AsyncIterator[str]:
    """Serve on this host (None: every address) and port (0: any free one); gives "host:port". Raises
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
            raise PortError(f"can't listen on port {port}: {error.strerror or error}") from error
        yield "{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


def _metrics(registry: CollectorRegistry) -> Handler:
    one_at_a_time = asyncio.Lock()

    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with one_at_a_time:
            body = await asyncio.to_thread(encode, registry)  # it takes longer than runs may be held up
        return web.Response(body=body, headers={"Content-Type": content_type})

    return answer


def _check(trouble: Trouble) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        found = trouble()
        text = "".join(f"{name}: {reason}\n" for name, reason in found.items())
        return web.Response(text=text or "ok\n", status=503 if found else 200)

    return answer
