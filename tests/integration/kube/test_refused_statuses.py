"""A status that the API server refuses is written without its details: never dropped, and not tried for ever."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.kube.writes.probes import Probes
from datapath_probe.publish.interfaces import ProbeRef, Retry, Written
from integration.apiserver import ApiServer
from integration.kube.cluster import PROBES, Json, create_probe, delete
from integration.kube.scripted import Answer, Script, serving

ROOT = Path(__file__).parents[3]
CRD = ROOT / "crds/datapathprobes.yaml"
OLD_CRD = ROOT / "tests/data/crds/datapathprobes-2026-11-29.yaml"
NOW = "2026-11-23T18:00:00Z"
READY = {"type": "Ready", "status": "True", "reason": "Ok", "message": "", "lastTransitionTime": NOW}
ESSENTIAL = {"observedGeneration": 1, "verdict": "Broken", "reason": "InterfaceDown", "conditions": [READY]}
PROFILE = {
    "lastChangeTime": NOW,
    "destination": "default/deathstar:80",
    "routing": "vxlan",
    "loadBalancing": "PerPacket",
    "changeCount": 0,
}


@pytest.fixture
async def probe(apiserver: ApiServer, kube: ApiClient) -> AsyncIterator[ProbeRef]:
    """A probe in the API server."""
    use(apiserver, CRD)
    apiserver.wait_for("get", "datapathprobes")
    yield await create_probe(kube)
    await delete(kube, f"{PROBES}/landing")


def use(apiserver: ApiServer, crd: Path) -> None:
    """Replace the schema."""
    how = ("replace",) if crd == OLD_CRD else ("apply", "--server-side", "--force-conflicts")
    assert apiserver.run_kubectl(*how, "-f", crd).returncode == 0


async def stored(kube: ApiClient) -> Json:
    found = await Probes(kube).read("default", "landing")
    assert isinstance(found, dict)
    status: Json = found["status"]
    return status


async def write_until(kube: ApiClient, probe: ProbeRef, status: Json, *, refused: bool) -> None:
    """Write until the API server uses the schema that was just written, which takes a moment."""
    async with asyncio.timeout(30):
        while True:
            result = await Probes(kube).write(probe, status)
            if isinstance(result, Written) and (result.refused is not None) is refused:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ({"ofTheNextVersion": {"answer": 42}}, 500),
        ({"summary": 7}, 500),
        ({"summary": "x" * 2000}, 422),
        ({"counters": {"runs": -1}}, 422),
        ({"counters": {"runs": 10**30}}, 422),
        ({"nextRunTime": "tomorrow"}, 422),
        ({"paths": [{"hops": [], "verdict": "Healthy", "source": {}, "destination": {}}]}, 422),
    ],
    ids=str,
)
async def test_a_refused_status_is_reduced_to_what_is_essential(
    kube: ApiClient, probe: ProbeRef, detail: Json, code: int
) -> None:
    probes = Probes(kube)
    assert await probes.write(probe, {"summary": "the run before"}) == Written()
    result = await probes.write(probe, {**ESSENTIAL, **detail})
    assert isinstance(result, Written)
    assert result.refused is not None
    assert result.refused.code == code
    assert result.refused.refused
    assert await stored(kube) == ESSENTIAL
    assert await probes.write(probe, {**ESSENTIAL, "summary": "the next run"}) == Written()


async def test_a_status_for_an_older_schema_is_reduced(
    apiserver: ApiServer, kube: ApiClient, probe: ProbeRef
) -> None:
    status = {**ESSENTIAL, "pathProfile": PROFILE}
    use(apiserver, OLD_CRD)
    await write_until(kube, probe, status, refused=True)
    assert await stored(kube) == ESSENTIAL
    use(apiserver, CRD)
    await write_until(kube, probe, status, refused=False)
    assert await stored(kube) == status


async def test_what_is_essential_can_be_refused_too(kube: ApiClient, probe: ProbeRef) -> None:
    result = await Probes(kube).write(probe, {**ESSENTIAL, "verdict": "Odd", "summary": "x"})
    assert isinstance(result, Retry)
    assert (result.code, result.refused) == (422, True)


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_an_api_server_in_trouble_is_sent_the_whole_status_again(status: int) -> None:
    """A status is reduced for its content only."""
    metadata = {"namespace": "default", "name": "landing", "uid": "uid-1", "resourceVersion": "3"}
    found = Answer(json.dumps({"metadata": metadata}).encode())
    script = Script(found, Answer(b'{"message": "etcd is sad"}', status=status))
    async with serving(script) as client:
        result = await Probes(client).write(ProbeRef("default", "landing", "uid-1"), ESSENTIAL)
    assert isinstance(result, Retry)
    assert (result.code, result.invalid) == (status, False)
    assert len(script.queries) == 2
