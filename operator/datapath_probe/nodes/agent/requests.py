"""Sends a request from the network namespace of a pod, by curl of this image. Called by `server`.

In: a `SendRequest`. Out: what curl printed. The pod needs neither curl nor a shell, and nothing is changed in it: curl
runs as a user without privileges, sees the pod's resolv.conf and hosts and otherwise the files of this image, and no
process of the pod sees it. Whatever asks, only what a DatapathProbe could specify is sent, to what this agent does not
deny.
"""

import re
import time
from dataclasses import replace

from pydantic import ValidationError

from ...addresses import parse_address
from ...api.spec.request import Request
from ...collect.source_ports import FIRST, LAST
from ...evidence.errors import EvidenceError
from ...evidence.reading import Answer, Reading, Unavailable
from ...plan.outside import AddressRestrictions
from ...sources.curl.pem import only_certificates
from ...sources.curl.report import parse_report
from ...sources.curl.request import CurlRequest, argv
from .. import limits
from .pods import NoSuchPodError, Pods
from .processes import CANT_PREPARE, Processes, Where

_PROTOCOLS = frozenset(("http", "https", "tcp"))
# At least one dot, and the last part starts with a letter: curl takes `0x7f.1` for an address.
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]([-a-z0-9]*[a-z0-9])?")
_LOCALHOST = ".localhost"  # curl resolves it itself
_MARGIN_S = 3.0
_LONGEST_S = 60.0
_NOT_RUN = 127


class Requests:
    """Sends requests of pods of this node."""

    def __init__(self, processes: Processes, pods: Pods, restrictions: AddressRestrictions) -> None:
        self._processes = processes
        self._pods = pods
        self._restrictions = restrictions

    async def send(self, pod: str, request: CurlRequest) -> Reading:
        """Send this request from the pod with this UID. Raises ValueError if no probe could specify it."""
        request = validated(request)
        at = time.time()
        why = self._why_forbidden(request.host)
        if why:
            return Unavailable(EvidenceError.ADDRESS_FORBIDDEN, why, at)
        words, stdin = argv(request)
        try:
            with self._pods.view(pod) as view:
                files = () if parse_address(request.host) else view.files  # nothing to resolve
                ended = await self._processes.run(
                    words,
                    where=Where(network=view.network, files=files, unprivileged=True),
                    stdin=stdin,
                    timeout_s=request.timeout_s + _MARGIN_S,
                    stdout_limit=limits.BODY_LIMIT,
                )
        except NoSuchPodError as error:
            return Unavailable(EvidenceError.POD_NOT_FOUND, str(error), at)
        if ended.overdue:
            message = f"curl did not end within {request.timeout_s + _MARGIN_S:g} s"
            return Unavailable(EvidenceError.TIMEOUT, message, at)
        if ended.exit_code in (CANT_PREPARE, _NOT_RUN) or ended.exit_code < 0:
            said = ended.stderr.decode(errors="replace").strip()
            return Unavailable(EvidenceError.COMMAND_FAILED, f"curl can't be run on this node: {said}", at)
        output = ended.exit_code, ended.stdout, ended.stderr
        return self._permitted(Answer(*output, at, ended.duration_s, ended.truncated), request)

    def _permitted(self, answer: Answer, request: CurlRequest) -> Reading:
        """What curl printed, unless the host led to an address that is denied."""
        report = parse_report(answer, request.timeout_s, request.protocol)
        if isinstance(report, Unavailable):
            return answer
        ips = (ip for ip in (report.remote_ip, *report.tried) if ip)
        why = next(filter(None, map(self._restrictions.why_no_endpoint, ips)), "")
        if not why:
            return answer
        message = f"{request.host} resolved to a forbidden address: {why}; the response is not shown"
        return Unavailable(EvidenceError.ADDRESS_FORBIDDEN, message, answer.at)

    def _why_forbidden(self, host: str) -> str:
        ip = parse_address(host)
        if ip:
            return self._restrictions.why_no_endpoint(ip)
        return f"{host} is the source itself" if host.endswith(_LOCALHOST) else ""


def validated(request: CurlRequest) -> CurlRequest:
    """The request, if a DatapathProbe could specify it. Raises ValueError otherwise."""
    if request.protocol not in _PROTOCOLS:
        raise ValueError(f"{request.protocol!r} is no protocol of a probe")
    if parse_address(request.host) is None and not _NAME.fullmatch(request.host):
        raise ValueError("the host is neither an address nor a name with a dot")
    if not 1 <= request.port <= 65535 or not FIRST <= request.local_port <= LAST:
        raise ValueError("a port is out of range")
    if not 0 < request.timeout_s <= _LONGEST_S:
        raise ValueError("the timeout is out of range")
    tls = request.tls
    spec: dict[str, object] = {
        "protocol": request.protocol.upper(),
        "method": request.method,
        "path": request.path,
        "headers": [{"name": name, "value": value} for name, value in request.headers],
        "body": request.body.decode(),
        "timeout": f"{round(request.timeout_s * 1000)}ms",
    }
    if request.protocol == "https":
        spec["tls"] = {"serverName": tls.server_name or None, "insecureSkipVerify": not tls.verify}
    elif tls.trusted or tls.server_name or not tls.verify:
        raise ValueError("only https has a server to authenticate")
    try:
        Request.model_validate(spec)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))} {first['msg']}") from None
    trusted = only_certificates(tls.trusted) if tls.trusted else ""
    return replace(request, tls=replace(tls, trusted=trusted))
