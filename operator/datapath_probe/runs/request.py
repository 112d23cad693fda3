"""Sends the request of a path, with curl in the source pod's network. Called by `path_runner`.

A name outside the cluster is resolved in that pod, as part of what is judged. So only curl's report shows which
addresses it led to; if one is forbidden, the report is discarded.
"""

from ..addresses import family_of
from ..collect.interfaces import CaCertificates, Clients, ContainerRef, Sender
from ..evidence.errors import EvidenceError
from ..evidence.reading import Reading, Unavailable
from ..plan.objects import Inventory
from ..plan.outside import AddressRestrictions
from ..plan.plan import AddressTarget, Plan
from ..sources.curl import request as curl
from ..sources.curl.report import parse_report


async def send(clients: Clients, cas: CaCertificates | None, plan: Plan, local_port: int) -> Reading:
    """Send the request and return what curl printed. Nothing is sent without the certificates that it is to trust."""
    trusted = await _trusted(cas, plan)
    if isinstance(trusted, Unavailable):
        return trusted
    tls = plan.request.tls
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
        show_addresses=_leads_anywhere(plan),
        tls=curl.Tls(trusted, tls.server_name, tls.verify),
        family=plan.family if len(set(map(family_of, plan.source.pod.ips))) > 1 else None,
    )
    pod = plan.source.pod
    container = ContainerRef(pod.namespace, pod.name, plan.container, pod.uid)
    return await clients.send(Sender(container, pod.node, plan.client), command)


def permitted(
    reading: Reading, plan: Plan, restrictions: AddressRestrictions, inventory: Inventory
) -> Reading:
    """What curl printed, unless the name led to an address that a probe may not request."""
    if not _leads_anywhere(plan):
        return reading
    report = parse_report(reading, plan.request.timeout_s, plan.request.protocol)
    if isinstance(report, Unavailable):  # nothing of it is shown
        return reading
    ips = dict.fromkeys((report.remote_ip, *report.tried))
    why = next(filter(None, (restrictions.why_forbidden(ip, inventory) for ip in ips if ip)), "")
    message = f"{plan.request.host} resolved to a forbidden address: {why}; the response is not shown"
    return Unavailable(EvidenceError.ADDRESS_FORBIDDEN, message, reading.at) if why else reading


def _leads_anywhere(plan: Plan) -> bool:
    """Whether the request is to a name that may resolve to any address."""
    return isinstance(plan.target, AddressTarget) and plan.by_name


async def _trusted(cas: CaCertificates | None, plan: Plan) -> str | Unavailable:
    """The certificates of CAs that the request names; "" if it names none."""
    source = plan.request.tls.ca
    if source is None:
        return ""
    if cas is None:
        return Unavailable(EvidenceError.NOT_COLLECTED, f"{source} can't be read here")
    return await cas.read(plan.source.pod.namespace, source)
