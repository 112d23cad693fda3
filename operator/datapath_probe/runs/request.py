"""Sends the request of a path, with curl in the source's container. Called by `path_runner`."""

from ..addresses import family_of
from ..collect.interfaces import ContainerRef, SourceContainers
from ..evidence.reading import Reading
from ..plan.plan import Plan
from ..sources import curl

# Time for the exec itself, beyond curl's own timeout.
EXEC_MARGIN_S = 5.0
BODY_LIMIT_BYTES = 64 * 1024


async def send(containers: SourceContainers, plan: Plan, local_port: int) -> Reading:
    """Send the request and return what curl printed. Limited both by curl and by the exec."""
    command = curl.CurlRequest(
        protocol=plan.request.protocol,
        host=plan.request.host,
        port=plan.request.port,
        method=plan.request.method,
        path=plan.request.path,
        headers=plan.request.headers,
        body=plan.request.body.encode(),
        timeout_s=plan.request.timeout_s,
        local_port=local_port,
        keep_body=plan.expect.body_contains is not None,
        family=plan.family if len(set(map(family_of, plan.source.pod.ips))) > 1 else None,
    )
    argv, stdin = curl.argv(command)
    pod = plan.source.pod
    return await containers.run(
        ContainerRef(pod.namespace, pod.name, plan.container, pod.uid),
        argv,
        stdin=stdin,
        timeout_s=plan.request.timeout_s + EXEC_MARGIN_S,
        stdout_limit=BODY_LIMIT_BYTES,
    )
