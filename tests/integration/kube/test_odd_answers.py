"""Whatever a server answers, the reflector keeps no deleted objects, forgets nothing by mistake, and never spins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from datapath_probe.kube.objects import kubernetes_objects
from datapath_probe.kube.objects.fields import Skips
from datapath_probe.kube.watch import reflector
from datapath_probe.kube.watch.reflector import Reflector, Resource
from datapath_probe.plan.objects import Node
from integration.kube.cluster import eventually
from integration.kube.scripted import Answer, Script, Then, event, listing, named, serving

NODES = Resource("nodes", "/api/v1/nodes", kubernetes_objects.node)
EXPIRED = {"code": 410, "message": "too old resource version: 5 (9)"}


@asynccontextmanager
async def following(script: Script) -> AsyncIterator[Reflector[Node]]:
    """A reflector of nodes that reads the script."""
    async with serving(script) as client:
        nodes = Reflector(client, NODES, Skips())
        task = asyncio.create_task(nodes.run())
        try:
            yield nodes
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def has(nodes: Reflector[Node], *names: str) -> bool:
    return len(nodes.cache) == len(names) and all(nodes.cache.get(("", name)) for name in names)


@pytest.mark.parametrize(
    "watch",
    [
        pytest.param(Answer(event("ERROR", EXPIRED)), id="version expired"),
        pytest.param(Answer(b'{"message": "too old"}', status=410), id="version expired, said by the status"),
        pytest.param(
            Answer(event("ERROR", {"code": 500, "message": "etcd is sad"})), id="error of the server"
        ),
        pytest.param(Answer(event("ERROR", {})), id="error without a word"),
        pytest.param(Answer(b"<html>Bad gateway</html>\n"), id="page of a proxy"),
        pytest.param(Answer(b"upstream connect error", status=503), id="refusal of a proxy"),
        pytest.param(Answer(b"[]\n"), id="JSON that is no event"),
        pytest.param(Answer(event("SOMETHING", named("hoth"))), id="unknown event"),
        pytest.param(Answer(event("ADDED", named("hoth"))[:-9], Then.CUT), id="cut in mid-line"),
        pytest.param(Answer(event("ADDED", named("hoth"))[:-9]), id="ended in mid-line"),
        pytest.param(Answer(event("ADDED", named("hoth")), Then.CUT), id="cut between lines"),
        pytest.param(Answer(b""), id="ended at once"),
    ],
)
async def test_after_an_error_in_a_watch_everything_is_listed_again(watch: Answer) -> None:
    script = Script(listing("endor", "naboo"), watch, listing("naboo", "hoth"))
    async with following(script) as nodes:
        await eventually(lambda: len(script.queries) == 4)
        assert has(nodes, "naboo", "hoth")
        assert nodes.synced.is_set()
        assert "watch" not in script.queries[2]
        assert script.queries[3]["watch"] == "true"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(b"{}"), id="no list"),
        pytest.param(Answer(b'{"items": []}'), id="list without version"),
        pytest.param(Answer(b'{"metadata": {"resourceVersion": "7"}}'), id="list without items"),
        pytest.param(Answer(b"null"), id="null"),
        pytest.param(Answer(b"<html></html>"), id="page of a proxy"),
        pytest.param(Answer(b'{"items": [', Then.CUT), id="cut"),
        pytest.param(Answer(b'{"message": "no"}', status=403), id="forbidden"),
        pytest.param(Answer(b"", status=401), id="unauthorized"),
    ],
)
async def test_a_response_that_is_not_a_list_removes_nothing(answer: Answer) -> None:
    script = Script(listing("endor"), Answer(event("ERROR", EXPIRED)), answer)
    async with following(script) as nodes:
        await eventually(lambda: len(script.queries) == 4)
        assert has(nodes, "endor")
        assert nodes.stale_since is not None


async def test_a_watch_that_ended_normally_continues_from_the_last_bookmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector, "SHORTEST_WATCH_S", 0)
    lines = event("ADDED", named("hoth", "6")) + event("BOOKMARK", named("", "9"))
    script = Script(listing("endor"), Answer(lines), Answer(event("DELETED", named("endor", "12"))))
    async with following(script) as nodes:
        await eventually(lambda: len(script.queries) == 4)
        assert has(nodes, "hoth")
        assert [query.get("resourceVersion") for query in script.queries] == [None, "5", "9", "12"]


async def test_objects_without_a_name_are_skipped_and_counted() -> None:
    script = Script(listing("endor", ""), Answer(event("ADDED", {}), Then.SILENCE))
    async with following(script) as nodes:
        await eventually(lambda: nodes._skips["nodes.metadata"] == 2)
        assert has(nodes, "endor")


async def test_a_list_that_expired_between_pages_is_restarted() -> None:
    first = Answer(
        b'{"items": [{"metadata": {"name": "endor"}}], "metadata": {"resourceVersion": "5", "continue": "x"}}'
    )
    script = Script(
        first, Answer(b'{"message": "the token is too old"}', status=410), first, listing("naboo")
    )
    async with following(script) as nodes:
        await eventually(nodes.synced.is_set)
        assert has(nodes, "endor", "naboo")
        assert [query.get("continue") for query in script.queries[:4]] == [None, "x", None, "x"]


async def test_a_server_that_fails_for_long_is_retried_less_often_and_logged_once() -> None:
    broken = Answer(b'{"message": "etcd is sad"}', status=500)
    with capture_logs() as logs:
        async with following(Script(*[broken] * 4, listing("endor"))) as nodes:
            took_s = await eventually(nodes.synced.is_set)
    assert took_s > (0.25 + 0.5 + 1 + 2) / 2
    assert [entry["reason"] for entry in logs if entry["log_level"] == "warning"] == ["etcd is sad"]
    assert [entry["event"] for entry in logs if entry["log_level"] == "info"] == ["resource synced"]
