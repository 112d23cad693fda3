"""`datapath-probe capture`: one run of a probe from here, with its packets. Needs the operator's permissions, not the
operator, and leaves the probe's status alone.
"""

import asyncio
from pathlib import Path

import click

from ..api.probe import InvalidSpec, Probe
from ..api.status import ProbeStatus
from ..control import logs
from ..control.cluster import open_cluster
from ..control.conductor import RUN_MARGIN_S
from ..kube.client import LoginError, connect, load_configuration
from ..kube.probes import Probes
from ..publish.capture import pcaps
from ..publish.ports import Gone, Retry
from ..publish.report import Heading
from ..publish.run_result import RunResult
from ..publish.status import findings

# What knowing the cluster may take.
SYNC_S = 30.0


def captured_run(
    namespace: str,
    name: str,
    kubeconfig: str | None,
    context: str | None,
    cilium_namespace: str,
    write: Path | None,
) -> tuple[Heading, ProbeStatus]:
    """Run the probe once and capture; pcap files go to `<write>.<node>.pcap`. Raises ClickException."""
    logs.configure("WARNING")
    try:
        probe, result = asyncio.run(_run(namespace, name, kubeconfig, context, cilium_namespace))
    except LoginError as error:
        raise click.ClickException(str(error)) from error
    except TimeoutError as error:
        raise click.ClickException("the cluster did not answer in time") from error
    if write and result.bundle:
        for node, pcap in pcaps(result.bundle.run):
            file = write.with_name(f"{write.name}.{node}.pcap")
            file.write_bytes(pcap)
            click.echo(f"wrote {file}", err=True)
    request = probe.spec.request
    return Heading(f"{namespace}/{name}", f"{request.method} {request.path}"), findings(result, probe)


async def _run(
    namespace: str, name: str, kubeconfig: str | None, context: str | None, cilium_namespace: str
) -> tuple[Probe, RunResult]:
    configuration = await load_configuration(kubeconfig, context)
    async with connect(configuration) as client:
        found = await Probes(client).read(namespace, name)
        if isinstance(found, Gone):
            raise click.ClickException(f"there is no DatapathProbe {namespace}/{name}")
        if isinstance(found, Retry):
            raise click.ClickException(found.reason)
        probe = Probe.from_object(found)
        if isinstance(probe, InvalidSpec):
            raise click.ClickException(probe.message)
        async with open_cluster(client, cilium_namespace) as cluster:
            serving = asyncio.create_task(cluster.serve())
            try:
                async with asyncio.timeout(SYNC_S):
                    await cluster.wait_synced()
                async with asyncio.timeout(probe.spec.request.timeout_s + RUN_MARGIN_S):
                    return probe, await cluster.runner.run(probe, capture=True)
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
