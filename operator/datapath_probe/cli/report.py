"""`datapath-probe report`: the last run of a probe, read from its status.

In: namespace and name. Out: heading and status for the report. Called by `main`.
"""

import asyncio
from collections.abc import Mapping

from ..api.probe import InvalidSpec, Probe
from ..api.status.probe_status import ProbeStatus
from ..kube.client import LoginError, connect, load_configuration
from ..kube.writes.probes import Probes
from ..publish.interfaces import Gone, Retry
from ..publish.report.report import Heading
from .terminal import Failure


def last_run(
    namespace: str, name: str, kubeconfig: str | None, context: str | None
) -> tuple[Heading, ProbeStatus]:
    """Read the probe. Raises Failure if it does not exist or cannot be read."""
    try:
        found = asyncio.run(_read(namespace, name, kubeconfig, context))
    except LoginError as error:
        raise Failure(str(error)) from error
    if isinstance(found, Gone):
        raise Failure(f"there is no DatapathProbe {namespace}/{name}")
    if isinstance(found, Retry):
        raise Failure(found.reason)
    probe = Probe.from_object(found)
    return Heading(f"{namespace}/{name}", _request_line(probe)), probe.status


async def _read(
    namespace: str, name: str, kubeconfig: str | None, context: str | None
) -> Mapping[str, object] | Gone | Retry:
    async with connect(await load_configuration(kubeconfig, context)) as client:
        return await Probes(client).read(namespace, name)


def _request_line(probe: Probe | InvalidSpec) -> str:
    if isinstance(probe, InvalidSpec):
        return ""
    request = probe.spec.request
    return f"{request.line} to {probe.status.destination or 'the destination'}"
