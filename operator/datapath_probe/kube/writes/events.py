"""Kubernetes Events about probes: `publish` queues them, and `run` posts them in the background.

In: `publish.interfaces.Event`. Out: events.k8s.io/v1 Events in the probe's namespace. Run by `control`. Nothing
depends on Events: those that the API server does not accept within a minute are dropped and logged. Events that fail
hold up no others: several are sent at a time, and namespaces take turns.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, uuid4, uuid5

import structlog
from kubernetes.aio.client import ApiClient

from ...api.group import API_VERSION, GROUP, KIND
from ...collect.fair_slots import FairSlots
from ...publish.interfaces import Event, ProbeRef
from ...visible import visible
from .. import rest
from ..backoff import api_server_backoff
from ..rest import ApiError

log = structlog.get_logger(__name__)

CONTROLLER = f"{GROUP}/operator"
QUEUE_LIMIT = 1000
MAX_CONCURRENT_REQUESTS = 4
RETRY_WINDOW_S = 60.0
NOTE_LIMIT_BYTES = 1024  # the limit of the Kubernetes API
NAME_LIMIT = 220  # of 253; a dot and the id follow


@dataclass(frozen=True, slots=True)
class _Queued:
    probe: ProbeRef
    event: Event
    at: float
    id: str  # the same in every attempt, so that the Event is created once


class EventRecorder:
    """Implements `publish.interfaces.Events` while `run` runs.

    `instance`: the reporting operator, such as its pod's name. `clock`: seconds since the epoch.
    """

    def __init__(self, client: ApiClient, instance: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()
        self._unsent = 0
        self._slots = FairSlots(MAX_CONCURRENT_REQUESTS)
        self._last: dict[str, Event] = {}

    def record(self, probe: ProbeRef, event: Event) -> None:
        """Queue an Event, unless it equals the last one of this probe."""
        if self._last.get(probe.uid) == event:
            return
        if self._unsent >= QUEUE_LIMIT:
            _log_dropped(probe, "the queue is full")
            return
        self._unsent += 1
        self._queue.put_nowait(_Queued(probe, event, self._clock(), _id(probe, event)))
        self._last[probe.uid] = event

    def forget(self, probe: ProbeRef) -> None:
        """Forget the last Event of a probe that is gone."""
        self._last.pop(probe.uid, None)

    async def run(self) -> None:
        """Post queued Events; never returns."""
        async with asyncio.TaskGroup() as sending:
            while True:
                sending.create_task(self._send_or_drop(await self._queue.get()))

    async def _send_or_drop(self, queued: _Queued) -> None:
        try:
            await self._send(queued)
        except ApiError as error:
            _log_dropped(queued.probe, str(error))
        finally:
            self._unsent -= 1

    async def _send(self, queued: _Queued) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{queued.probe.namespace}/events"
        body = _body(queued, self._instance)
        backoff = api_server_backoff()
        while True:
            try:
                async with self._slots.slot(queued.probe.namespace):
                    await rest.request(self._client, "POST", path, {}, body, timeout_s=rest.WRITE_TIMEOUT_S)
            except ApiError as error:
                if error.status == rest.CONFLICT:  # an earlier attempt created it
                    return
                if not error.transient or self._clock() - queued.at > RETRY_WINDOW_S:
                    raise
                await asyncio.sleep(backoff.failed())
            else:
                return


def _id(probe: ProbeRef, event: Event) -> str:
    id_ = uuid5(NAMESPACE_OID, f"{probe.uid}/{event.key}") if event.key else uuid4()
    return id_.hex


def _log_dropped(probe: ProbeRef, reason: str) -> None:
    log.warning("event dropped", probe=f"{probe.namespace}/{probe.name}", reason=reason)


def _body(queued: _Queued, instance: str) -> dict[str, object]:
    probe, event = queued.probe, queued.event
    name = probe.name[:NAME_LIMIT].rstrip("-.")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": probe.namespace, "name": f"{name}.{queued.id}"},
        "eventTime": datetime.fromtimestamp(queued.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": visible(event.note).encode()[:NOTE_LIMIT_BYTES].decode(errors="ignore"),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": probe.namespace,
            "name": probe.name,
            "uid": probe.uid,
        },
    }
