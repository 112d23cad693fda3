"""Events about probes arrive in the form that tools expect, once each, and never delay anything."""

import asyncio
from dataclasses import replace

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration
from structlog.testing import capture_logs

from datapath_probe.kube.client import connect
from datapath_probe.kube.writes import events
from datapath_probe.kube.writes.events import EventRecorder
from datapath_probe.publish.interfaces import Event, ProbeRef
from integration.apiserver import ApiServer
from integration.kube.cluster import events_about, eventually
from integration.kube.conftest import running
from integration.kube.scripted import Answer, Script, serving

BROKEN = Event("Warning", "ConnectionRefused", "Probe", "no process listens on 10.244.0.157:81")
HEALTHY = Event("Normal", "AllHopsOk", "Probe", "21/21 hops ok")


def recorder_on(client: ApiClient) -> EventRecorder:
    return EventRecorder(client, "datapath-probe-0")


async def test_events_are_found_with_their_probe(kube: ApiClient) -> None:
    probe = ProbeRef("default", "landing", "e-1")
    async with running(recorder_on(kube)) as recorder:
        recorder.record(probe, BROKEN)
        recorder.record(probe, HEALTHY)
        first, second = await events_about(kube, probe, 2)
    assert (first["type"], first["reason"], first["action"]) == ("Warning", "ConnectionRefused", "Probe")
    assert first["message"] == BROKEN.note
    assert first["involvedObject"]["kind"] == "DatapathProbe"
    assert (first["reportingComponent"], first["reportingInstance"]) == (
        "datapath-probe.dev/operator",
        "datapath-probe-0",
    )
    assert (second["type"], second["reason"]) == ("Normal", "AllHopsOk")


async def test_a_repeated_event_is_sent_once(kube: ApiClient) -> None:
    probe = ProbeRef("default", "landing", "e-2")
    async with running(recorder_on(kube)) as recorder:
        for event in (BROKEN, BROKEN, HEALTHY, BROKEN):
            recorder.record(probe, event)
        found = await events_about(kube, probe, 3)
    assert [event["reason"] for event in found] == ["ConnectionRefused", "AllHopsOk", "ConnectionRefused"]


async def test_events_with_the_same_key_are_kept_once_also_from_another_operator(kube: ApiClient) -> None:
    probe = ProbeRef("default", "landing", "e-9")
    changed = replace(HEALTHY, key="PathChanged/1")
    for count in (2, 3):
        async with running(recorder_on(kube)) as recorder:
            recorder.record(probe, changed)
            recorder.record(probe, BROKEN)
            found = await events_about(kube, probe, count)
    assert [event["reason"] for event in found] == ["AllHopsOk", "ConnectionRefused", "ConnectionRefused"]


async def test_long_notes_and_names_are_cut_to_the_limits_of_kubernetes(kube: ApiClient) -> None:
    probe = ProbeRef("default", "n" * 219 + "-" + "n" * 33, "e-3")
    async with running(recorder_on(kube)) as recorder:
        recorder.record(probe, Event("Normal", "AllHopsOk", "Probe", "→" * 1000))
        (found,) = await events_about(kube, probe, 1)
    assert found["message"] == "→" * 341


async def test_events_during_an_outage_of_the_api_server_arrive_later(
    apiserver: ApiServer, kube: ApiClient
) -> None:
    probe = ProbeRef("default", "landing", "e-4")
    async with running(recorder_on(kube)) as recorder:
        apiserver.kill()
        try:
            recorder.record(probe, BROKEN)
            await eventually(lambda: recorder._queue.empty())
        finally:
            apiserver.start()
            await asyncio.to_thread(apiserver.wait_ready)
        assert len(await events_about(kube, probe, 1)) == 1


async def test_an_event_that_arrived_without_a_response_is_not_an_error() -> None:
    probe = ProbeRef("default", "landing", "e-5")
    script = Script(Answer(b"", status=503), Answer(b'{"message": "exists"}', status=409), Answer(b"{}"))
    with capture_logs() as logs:
        async with serving(script) as client, running(recorder_on(client)) as recorder:
            recorder.record(probe, BROKEN)
            recorder.record(probe, HEALTHY)
            await eventually(lambda: len(script.queries) == 3)
    assert logs == []


async def test_a_rejected_event_is_logged_and_the_next_one_is_sent() -> None:
    probe = ProbeRef("default", "landing", "e-6")
    script = Script(Answer(b'{"message": "the namespace is being deleted"}', status=403), Answer(b"{}"))
    with capture_logs() as logs:
        async with serving(script) as client, running(recorder_on(client)) as recorder:
            recorder.record(probe, BROKEN)
            recorder.record(probe, HEALTHY)
            await eventually(lambda: len(script.queries) == 2)
    assert [(log["event"], log["probe"], log["reason"]) for log in logs] == [
        ("event dropped", "default/landing", "the namespace is being deleted")
    ]


async def test_events_that_get_no_response_hold_up_no_other_namespace() -> None:
    received: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        received.append(request.path)
        if "/hanging/" in request.path:
            await asyncio.Event().wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with (
        TestServer(app) as server,
        connect(Configuration(host=str(server.make_url("")))) as client,
        running(recorder_on(client)) as recorder,
    ):
        for number in range(50):
            recorder.record(ProbeRef("hanging", f"probe-{number}", f"h-{number}"), BROKEN)
        await eventually(lambda: received)
        for number in range(5):
            recorder.record(ProbeRef("shop", f"probe-{number}", f"s-{number}"), BROKEN)
        await eventually(lambda: sum("/shop/" in path for path in received) == 5)


async def test_an_event_that_is_retried_holds_up_no_other() -> None:
    probe = ProbeRef("default", "landing", "e-10")
    unavailable = [Answer(b"", status=503)] * 3
    script = Script(unavailable[0], Answer(b"{}"), *unavailable[1:], Answer(b"{}"))
    async with serving(script) as client, running(recorder_on(client)) as recorder:
        recorder.record(probe, BROKEN)
        await eventually(lambda: len(script.queries) == 1)
        recorder.record(ProbeRef("default", "other", "e-11"), HEALTHY)
        await eventually(lambda: len(script.queries) == 5)
        await eventually(lambda: recorder._unsent == 0)


async def test_an_event_that_is_too_old_is_dropped(kube: ApiClient) -> None:
    times = iter([0.0, events.RETRY_WINDOW_S + 1])
    recorder = EventRecorder(kube, "datapath-probe-0", clock=lambda: next(times))
    recorder.record(ProbeRef("default", "landing", "e-7"), BROKEN)
    with capture_logs() as logs:
        async with serving(Script(Answer(b"", status=503))) as client:
            recorder._client = client
            task = asyncio.create_task(recorder.run())
            await eventually(lambda: logs)
            task.cancel()
    assert logs[0]["event"] == "event dropped"


async def test_recording_never_waits_even_if_nothing_is_sent(kube: ApiClient) -> None:
    recorder = recorder_on(kube)
    with capture_logs() as logs:
        for number in range(events.QUEUE_LIMIT + 1):
            recorder.record(ProbeRef("default", f"probe-{number}", f"uid-{number}"), BROKEN)
    assert [log["probe"] for log in logs] == [f"default/probe-{events.QUEUE_LIMIT}"]


async def test_an_event_of_a_forgotten_probe_is_sent_again(kube: ApiClient) -> None:
    probe = ProbeRef("default", "landing", "e-8")
    recorder = recorder_on(kube)
    recorder.record(probe, BROKEN)
    recorder.forget(probe)
    recorder.record(probe, BROKEN)
    assert recorder._queue.qsize() == 2
