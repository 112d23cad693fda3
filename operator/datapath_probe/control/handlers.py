"""kopf's part: it watches the probes and tells the registry. No finalizer, no annotation, no write of its own.

Called by `app`, once.
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


def handlers(registry: Registry, inventory_audit: InventoryAudit, client: ApiClient) -> kopf.OperatorRegistry:
    """kopf's registry with all handlers; kopf logs in as the client does."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(id="login", registry=found)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=client.configuration.host, aiohttp_session=session(client))

    @kopf.on.event(GROUP, VERSION, PLURAL, id="observe", registry=found)
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        probe = event["object"]
        if event["type"] == "DELETED":
            registry.forget(probe["metadata"]["uid"])
            return
        if event["type"] is None:
            inventory_audit.relisted()
        registry.observe(probe)

    return found


async def watch(
    found: kopf.OperatorRegistry, namespaces: Collection[str], take_signals: Callable[[], None]
) -> None:
    """Run kopf in this loop until cancelled. `namespaces`: none means all. kopf takes SIGTERM and SIGINT for
    itself; `take_signals` takes them back.
    """
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.queueing.exit_timeout = 0.5
    settings.networking.request_timeout = REQUEST_TIMEOUT_S
    settings.networking.connect_timeout = CONNECT_TIMEOUT_S
    settings.networking.error_backoffs = _Backoffs()
    tasks = await kopf.spawn_tasks(
        registry=found,
        settings=settings,
        standalone=True,
        identity="",  # type: ignore[arg-type]  # or kopf looks for a user name, which a container need not have
        clusterwide=not namespaces,
        namespaces=namespaces,
    )
    take_signals()
    await kopf.run_tasks(tasks, ignored=_AllTasks())


class _Backoffs:
    """Seconds between attempts, without end: kopf's own give up after a minute without the API server."""

    def __iter__(self) -> Iterator[float]:
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            yield backoff.failed()


class _AllTasks(Collection[asyncio.Task[Any]]):
    """kopf takes every task in the loop for its own and cancels it at its end, unless told to ignore it."""

    def __contains__(self, task: object) -> bool:
        return True

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(asyncio.all_tasks())

    def __len__(self) -> int:
        return len(asyncio.all_tasks())
