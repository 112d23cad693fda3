"""The kopf handlers: they watch the probes and pass them to the registry. kopf adds no finalizer and no annotation.

In: watch events. Out: calls of `Registry` and `InventoryAudit`. Called by `app`, once.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Any

import kopf
from kubernetes.aio.client import ApiClient

from ..api.group import GROUP, PLURAL, VERSION
from ..backoff import Backoff
from ..kube.client import session
from .schedule.inventory_audit import InventoryAudit
from .schedule.registry import Registry

REQUEST_TIMEOUT_S, CONNECT_TIMEOUT_S = 30.0, 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 4.0
# Objects in one page of kopf's list, and how long kopf keeps the last object of each probe: one takes 100 kB.
PAGE_OBJECTS, IDLE_WORKER_S = 50, 0.2


def handlers(registry: Registry, inventory_audit: InventoryAudit, client: ApiClient) -> kopf.OperatorRegistry:
    """Create kopf's registry with all handlers; kopf authenticates like the client."""
    kopf_registry = kopf.OperatorRegistry()

    @kopf.on.login(id="login", registry=kopf_registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=client.configuration.host, aiohttp_session=session(client))

    @kopf.on.event(GROUP, VERSION, PLURAL, id="observe", registry=kopf_registry)
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        probe = event["object"]
        if event["type"] == "DELETED":
            registry.forget(probe["metadata"]["uid"])
            return
        if event["type"] is None:
            inventory_audit.relisted()
        registry.observe(probe)

    return kopf_registry


async def watch(
    kopf_registry: kopf.OperatorRegistry,
    namespaces: Collection[str],
    install_signal_handlers: Callable[[], None],
) -> None:
    """Run kopf in this event loop until canceled. `namespaces`: empty means all. kopf replaces the handlers of SIGTERM
    and SIGINT; `install_signal_handlers` restores them.
    """
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.queueing.exit_timeout = 0.5
    settings.queueing.idle_timeout = IDLE_WORKER_S
    settings.watching.chunk_size = PAGE_OBJECTS
    settings.networking.request_timeout = REQUEST_TIMEOUT_S
    settings.networking.connect_timeout = CONNECT_TIMEOUT_S
    settings.networking.error_backoffs = _Backoffs()
    tasks = await kopf.spawn_tasks(
        registry=kopf_registry,
        settings=settings,
        standalone=True,
        identity="",  # type: ignore[arg-type]  # otherwise kopf looks up a user name, which a container may not have
        clusterwide=not namespaces,
        namespaces=namespaces,
    )
    install_signal_handlers()
    await kopf.run_tasks(tasks, ignored=_AllTasks())


class _Backoffs:
    """Seconds between retries, without end: kopf's default gives up after a minute without the API server."""

    def __iter__(self) -> Iterator[float]:
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            yield backoff.failed()


class _AllTasks(Collection[asyncio.Task[Any]]):
    """kopf cancels every task in the event loop when it ends, except those it is configured to ignore."""

    def __contains__(self, task: object) -> bool:
        return True

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(asyncio.all_tasks())

    def __len__(self) -> int:
        return len(asyncio.all_tasks())
