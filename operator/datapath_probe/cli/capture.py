"""`datapath-probe capture`: runs a probe once from this machine and captures its packets.

In: a probe and a client. Out: heading and status for the report, and pcap files. Called by `main`. Needs the
permissions of the operator but not the operator, and does not change the probe's status.
"""

import asyncio
from pathlib import Path

from ..api.probe import InvalidSpec, Probe
from ..api.reasons import Reason
from ..api.status.probe_status import ProbeStatus
from ..kube.client import LoginError, connect, load_configuration
from ..kube.cluster import Cluster, open_cluster
from ..kube.writes.probes import Probes
from ..private_file import write_private
from ..publish.interfaces import Gone, Retry
from ..publish.report.report import Heading
from ..publish.status.capture import numbered, pcaps
from ..publish.status.status import findings
from ..runs.run_result import RunResult
from . import logs
from .terminal import Failure, note

# How long it may take to list the objects of the cluster.
SYNC_S = 30.0


def captured_run(
    namespace: str,
    name: str,
    kubeconfig: str | None,
    context: str | None,
    cilium_namespace: str,
    write: Path | None,
) -> tuple[Heading, ProbeStatus]:
    """Run the probe once and capture its packets into `<write>.<node>.pcap`. Raises Failure."""
    logs.configure("WARNING")
    try:
        probe, result = asyncio.run(_run(namespace, name, kubeconfig, context, cilium_namespace))
    except LoginError as error:
        raise Failure(str(error)) from error
    if write:
        _write_all(write, result)
    request = probe.spec.request
    return Heading(f"{namespace}/{name}", request.line), findings(result, probe)


async def _run(
    namespace: str, name: str, kubeconfig: str | None, context: str | None, cilium_namespace: str
) -> tuple[Probe, RunResult]:
    configuration = await load_configuration(kubeconfig, context)
    async with connect(configuration) as client:
        found = await Probes(client).read(namespace, name)
        if isinstance(found, Gone):
            raise Failure(f"there is no DatapathProbe {namespace}/{name}")
        if isinstance(found, Retry):
            raise Failure(found.reason)
        probe = Probe.from_object(found)
        if isinstance(probe, InvalidSpec):
            raise Failure(probe.message)
        async with open_cluster(client, cilium_namespace) as cluster:
            serving = asyncio.create_task(cluster.serve())
            try:
                await _synced(cluster, serving)
                return probe, await _captured(cluster, probe)
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


async def _synced(cluster: Cluster, serving: asyncio.Task[None]) -> None:
    """Wait until all objects are listed. Raises Failure with those that are missing, and why."""
    syncing = asyncio.create_task(cluster.wait_synced())
    try:
        done, _ = await asyncio.wait((syncing, serving), timeout=SYNC_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        syncing.cancel()
    if serving in done:
        raise Failure(f"the cluster can't be watched: {serving.exception()!r}")
    if syncing not in done:
        missing = "; ".join(f"{name}: {why}" for name, why in cluster.unsynced.items())
        raise Failure(f"the objects of the cluster were not listed within {SYNC_S:g} s: {missing}")


async def _captured(cluster: Cluster, probe: Probe) -> RunResult:
    """Run the probe. Raises Failure if the run was canceled."""
    result = await cluster.runner.run(probe, capture=True)
    if result.worst.reason is Reason.RUN_TIMEOUT:
        raise Failure(result.worst.message)
    return result


def _write_all(prefix: Path, result: RunResult) -> None:
    for number, bundle in enumerate(result.bundles, 1):
        for node, pcap in pcaps(bundle.run):
            _write(prefix.with_name(f"{numbered(prefix.name, number)}.{node}.pcap"), pcap)


def _write(file: Path, pcap: bytes) -> None:
    """Write the packets of one node, readable by their owner only, and print the file name. Raises Failure."""
    try:
        write_private(file, pcap)
    except OSError as error:
        raise Failure(f"can't write {file}: {error.strerror}") from error
    note(f"wrote {file}")
