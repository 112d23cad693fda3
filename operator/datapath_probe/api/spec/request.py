"""The request of a probe. Part of the spec."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ..model import ApiModel, Rule
from .durations import seconds
from .scalars import Body, Duration, HeaderName, HeaderValue, RequestPath, duration_between
from .tls import Tls


class Protocol(StrEnum):
    """Protocol of the request."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TCP = "TCP"


class Method(StrEnum):
    """The methods of RFC 9110 and 5789 that make sense for a probe."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


class Header(ApiModel):
    """A header of the request."""

    name: HeaderName
    """Name of the header. Connection, Content-Length, Expect, Transfer-Encoding and Upgrade are rejected because curl
    sets them. Host is allowed."""

    value: HeaderValue
    """Value of the header, sent as it is. If it is empty, the header is sent without a value."""


class Request(ApiModel):
    """The request that curl sends."""

    rules: ClassVar = (
        Rule(
            "self.method != 'HEAD' || !has(self.body) || self.body == ''",
            "a HEAD request has no body: leave out body or choose another method",
            lambda request: request.method != Method.HEAD or not request.body,
        ),
        Rule(
            "self.protocol == 'HTTPS' || !has(self.tls)",
            "tls requires protocol HTTPS: set protocol, or leave out tls",
            lambda request: request.protocol == Protocol.HTTPS or request.tls is None,
        ),
        Rule(
            "!has(self.protocol) || self.protocol != 'TCP' || (self.method == 'GET' && self.path == '/' "
            "&& (!has(self.headers) || size(self.headers) == 0) && (!has(self.body) || self.body == ''))",
            "a TCP request sends no data: leave out method, path, headers and body, or set protocol HTTP or HTTPS",
            lambda request: (
                request.protocol != Protocol.TCP
                or (
                    request.method == Method.GET
                    and request.path == "/"
                    and not request.headers
                    and not request.body
                )
            ),
        ),
    )

    protocol: Protocol = Protocol.HTTP
    """Protocol of the request. HTTP: HTTP/1.1 without TLS. HTTPS: HTTP/1.1 over TLS. Redirects are not followed. TCP: a
    connection is established and closed, no data is sent."""

    method: Method = Method.GET
    """Method of the request."""

    path: RequestPath = "/"
    """Path and query, sent as they are. Only visible ASCII characters; percent-encode all others."""

    headers: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    """Headers to send in addition to those that curl sends by default."""

    body: Body = ""
    """Body of the request: at most 4096 bytes of UTF-8 without NUL. Its Content-Type is
    application/x-www-form-urlencoded unless set in headers."""

    tls: Tls | None = None
    """How the server is authenticated. Requires protocol HTTPS."""

    timeout: Annotated[Duration, duration_between("100ms", "60s")] = "5s"
    """Maximum duration of the whole request, including name resolution: 100ms to 60s."""

    @property
    def line(self) -> str:
        """What is requested, for display: "GET /", or "TCP"."""
        return "TCP" if self.protocol is Protocol.TCP else f"{self.method} {self.path}"

    @property
    def timeout_s(self) -> float:
        return seconds(self.timeout)
