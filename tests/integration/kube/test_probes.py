"""A status is written only to the probe that it belongs to. Existing probes are listed completely or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.kube import rest
from datapath_probe.kube.writes.probes import Probes
from datapath_probe.publish.interfaces import Gone, ProbeRef, Retry, Written
from integration.apiserver import ApiServer
from integration.kube.cluster import PROBES, Json, create_probe, delete, merge
from integration.kube.scripted import Answer, Script, serving

ROOT = Path(__file__).parents[3]
CRD = ROOT / "crds/datapathprobes.yaml"
OLD_CRD = ROOT / "tests/data/crds/datapathprobes-2026-11-29.yaml"
OLD_STATUS = ROOT / "tests/data/status/2026-11-29.json"
CONDITION = {
    "status": "True",
    "reason": "Ok",
    "message": "",
    "lastTransitionTime": "2026-11-23T18:00:00Z",
    "observedGeneration": 1,
}


@pytest.fixture
async def probe(apiserver: ApiServer, kube: ApiClient) -> AsyncIterator[ProbeRef]:
    """A probe in the API server."""
    assert apiserver.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD).returncode == 0
    apiserver.wait_for("get", "datapathprobes")
    yield await create_probe(kube)
    await delete(kube, f"{PROBES}/landing")


async def stored(kube: ApiClient, name: str = "landing") -> Json:
    found = await Probes(kube).read("default", name)
    assert isinstance(found, dict)
    return found


async def test_status_is_applied_as_a_whole_by_our_field_manager(kube: ApiClient, probe: ProbeRef) -> None:
    probes = Probes(kube)
    assert await probes.write(probe, {"observedGeneration": 1, "summary": "21/21 hops ok"}) == Written()
    assert await probes.write(probe, {"observedGeneration": 2}) == Written()
    found = await stored(kube)
    assert found["status"] == {"observedGeneration": 2}
    applied = [entry for entry in found["metadata"]["managedFields"] if entry["operation"] == "Apply"]
    assert [(entry["manager"], entry["subresource"]) for entry in applied] == [("datapath-probe", "status")]


async def test_fields_of_other_managers_are_kept_or_replaced(kube: ApiClient, probe: ProbeRef) -> None:
    theirs = {"summary": "mine", "conditions": [{"type": "Approved", **CONDITION}]}
    await merge(kube, f"{PROBES}/landing/status", {"status": theirs})
    ours = {"summary": "ours", "conditions": [{"type": "Ready", **CONDITION}]}
    assert await Probes(kube).write(probe, ours) == Written()
    status = (await stored(kube))["status"]
    assert status["summary"] == "ours"
    assert {condition["type"] for condition in status["conditions"]} == {"Approved", "Ready"}


async def test_a_status_of_an_earlier_version_is_upgraded_completely(
    apiserver: ApiServer, kube: ApiClient, probe: ProbeRef
) -> None:
    old = json.loads(OLD_STATUS.read_bytes())
    probes = Probes(kube)
    assert apiserver.run_kubectl("replace", "-f", OLD_CRD).returncode == 0
    await until(lambda: keeps(kube, probe, old))
    assert apiserver.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD).returncode == 0
    await until(lambda: prunes(kube))

    status = ProbeStatus.from_object((await stored(kube))["status"])
    assert status == ProbeStatus.from_object(old)
    assert status.path_profile is not None
    assert await probes.write(probe, status.to_object()) == Written()
    found = (await stored(kube))["status"]
    assert found == json.loads(json.dumps(status.to_object()))
    assert {condition["type"] for condition in found["conditions"]} == {
        "ExpectationMet",
        "PathHealthy",
        "Ready",
    }


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the API server uses a schema, which takes a moment after it was written."""
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 (the server gives no sign)
            await asyncio.sleep(0.1)


async def keeps(kube: ApiClient, probe: ProbeRef, status: Json) -> bool:
    """Whether this status is stored completely. Fields that the schema does not have are refused."""
    written = await Probes(kube).write(probe, status)
    return written == Written() and bool((await stored(kube))["status"] == status)


async def prunes(kube: ApiClient) -> bool:
    """Whether fields that are not in the schema any more are dropped when an object is read."""
    return "leftOut" not in (await stored(kube))["status"]["capture"]


async def test_a_recreated_probe_does_not_get_the_status_of_the_old_one(
    kube: ApiClient, probe: ProbeRef
) -> None:
    knowing, new_here = Probes(kube), Probes(kube)
    assert await knowing.write(probe, {"observedGeneration": 1}) == Written()
    await delete(kube, f"{PROBES}/landing")
    again = await create_probe(kube)
    for probes in (knowing, new_here):
        assert await probes.write(probe, {"observedGeneration": 7}) == Gone()
    assert "status" not in await stored(kube)
    assert await knowing.write(again, {"observedGeneration": 1}) == Written()


async def test_a_deleted_probe_is_gone(kube: ApiClient, probe: ProbeRef) -> None:
    probes = Probes(kube)
    assert await probes.write(probe, {"observedGeneration": 1}) == Written()
    await delete(kube, f"{PROBES}/landing")
    assert await probes.write(probe, {"observedGeneration": 2}) == Gone()
    assert await probes.read("default", "landing") == Gone()


async def test_a_spec_that_changed_meanwhile_does_not_prevent_the_write(
    kube: ApiClient, probe: ProbeRef
) -> None:
    probes = Probes(kube)
    assert await probes.write(probe, {"observedGeneration": 1}) == Written()
    await merge(kube, f"{PROBES}/landing", {"spec": {"suspend": True}})
    assert await probes.write(probe, {"observedGeneration": 2}) == Written()
    found = await stored(kube)
    assert (found["spec"]["suspend"], found["status"]) == (True, {"observedGeneration": 2})


async def test_concurrent_writes_both_arrive(kube: ApiClient, probe: ProbeRef) -> None:
    writes = [Probes(kube).write(probe, {"observedGeneration": generation}) for generation in range(1, 3)]
    assert await asyncio.gather(*writes) == [Written(), Written()]


async def test_a_status_that_the_schema_rejects_has_a_reason(kube: ApiClient, probe: ProbeRef) -> None:
    result = await Probes(kube).write(probe, {"summary": 7})
    assert isinstance(result, Retry)
    assert "default/landing" in result.reason
    assert ".status.summary: expected string" in result.reason


async def test_a_status_with_an_unknown_value_is_refused_permanently(
    kube: ApiClient, probe: ProbeRef
) -> None:
    result = await Probes(kube).write(probe, {"verdict": "Odd"})
    assert isinstance(result, Retry)
    assert (result.code, result.refused) == (422, True)


async def test_the_list_has_the_probes_of_all_pages(
    monkeypatch: pytest.MonkeyPatch, kube: ApiClient, probe: ProbeRef
) -> None:
    monkeypatch.setattr(rest, "PAGE_OBJECTS", 2)
    others = [await create_probe(kube, f"landing-{number}") for number in range(4)]
    assert await Probes(kube).list_refs() == frozenset({probe, *others})
    for other in others:
        await delete(kube, f"{PROBES}/{other.name}")
    assert await Probes(kube).list_refs() == frozenset({probe})


async def test_after_a_list_the_first_write_needs_no_read(kube: ApiClient) -> None:
    found = b'{"metadata": {"namespace": "default", "name": "a", "uid": "u", "resourceVersion": "3"}}'
    script = Script(Answer(b'{"metadata": {"resourceVersion": "5"}, "items": [%s]}' % found), Answer(found))
    async with serving(script) as client:
        probes = Probes(client)
        assert await probes.list_refs() == frozenset({ProbeRef("default", "a", "u")})
        assert await probes.write(ProbeRef("default", "a", "u"), {}) == Written()
    assert [query.get("force") for query in script.queries] == [None, "true"]


async def test_lists_and_writes_get_no_statuses_back(kube: ApiClient, probe: ProbeRef) -> None:
    """A status with 25 hops takes 100 kB of memory as JSON values."""
    found = b'{"metadata": {"namespace": "default", "name": "a", "uid": "u", "resourceVersion": "3"}}'
    script = Script(
        Answer(b'{"metadata": {"resourceVersion": "5"}, "items": []}'), Answer(found), Answer(found)
    )
    async with serving(script) as client:
        probes = Probes(client)
        await probes.list_refs()
        assert await probes.write(ProbeRef("default", "a", "u"), {}) == Written()
    assert script.accepted == [rest.METADATA_LIST, rest.METADATA, rest.METADATA]
    await Probes(kube).write(probe, {"summary": "21/21 hops ok"})
    (page,) = [page async for page in rest.pages(kube, PROBES, {}, accept=rest.METADATA_LIST)]
    assert isinstance(page["items"], list)
    read = await rest.request(kube, "GET", f"{PROBES}/landing", {}, accept=rest.METADATA)
    for each in (*page["items"], read):
        assert each["metadata"]["uid"] == probe.uid
        assert not {"spec", "status"} & each.keys()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(b"{}"), id="no list"),
        pytest.param(Answer(b"<html></html>"), id="page of a proxy"),
        pytest.param(Answer(b'{"message": "etcd is sad"}', status=500), id="error"),
        pytest.param(Answer(b'{"message": "no such resource"}', status=404), id="CRD missing"),
    ],
)
async def test_a_failed_list_is_not_an_empty_list(answer: Answer) -> None:
    async with serving(Script(answer)) as client:
        assert isinstance(await Probes(client).list_refs(), Retry)


async def test_an_unreachable_api_server_does_not_remove_a_probe(
    apiserver: ApiServer, kube: ApiClient, probe: ProbeRef
) -> None:
    probes = Probes(kube)
    apiserver.kill()
    try:
        assert isinstance(await probes.write(probe, {"observedGeneration": 1}), Retry)
        assert isinstance(await probes.read("default", "landing"), Retry)
        assert isinstance(await probes.list_refs(), Retry)
    finally:
        apiserver.start()
        await asyncio.to_thread(apiserver.wait_ready)
    assert await probes.write(probe, {"observedGeneration": 1}) == Written()
