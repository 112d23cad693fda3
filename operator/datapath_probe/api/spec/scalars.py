"""The strings and numbers of the spec, each with its bounds and rules. Used by `spec`."""

import re
from typing import Annotated

from pydantic import Field, WithJsonSchema

from ..model import Rule, matches
from .durations import PATTERN, seconds

BODY_LIMIT_BYTES = 4096

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_SUBDOMAIN = rf"^{_LABEL}(\.{_LABEL})*$"
_IN_CLUSTER = r"^[^.]+[.][^.]+[.](svc|pod)([.]|$)|[.]cluster[.]local$"
_PORT_NAME = f"^{_LABEL}$"
_OWN_HEADERS = ("connection", "content-length", "expect", "transfer-encoding", "upgrade")


def duration_between(least: str, most: str) -> Rule:
    """The rule that a `Duration` has the form, and these bounds."""
    return Rule(
        f"self.matches('{PATTERN}') "
        f"&& duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
        f"must be a duration from {least} to {most}, such as 30s, 1m30s or 250ms",
        lambda text: bool(re.fullmatch(PATTERN, text)) and seconds(least) <= seconds(text) <= seconds(most),
    )


def _is_name_of(what: str) -> Rule:
    """The rule that a string names an object. `what`: "a pod"."""
    return matches(_SUBDOMAIN, f"must be the name of {what}: lower-case letters, digits, '-' and '.'")


def _is_port(port: int | str) -> bool:
    if isinstance(port, int):
        return 1 <= port <= 65535
    return bool(re.fullmatch(_PORT_NAME, port) and re.search("[a-z]", port))


Duration = Annotated[str, Field(max_length=24)]
Label = Annotated[
    str,
    Field(max_length=63),
    matches(
        f"^{_LABEL}$",
        "must be a name of lower-case letters, digits and '-', with a letter or digit at both ends",
    ),
]
StatusCode = Annotated[int, Field(strict=True, ge=200, le=599)]
PodName = Annotated[str, Field(max_length=253), _is_name_of("a pod")]
WorkloadName = Annotated[str, Field(max_length=253), _is_name_of("a workload")]
ObjectName = Annotated[str, Field(max_length=253), _is_name_of("an object")]
HostName = Annotated[
    str,
    Field(max_length=253),
    matches(
        # The last part of a name starts with a letter: `127.1` and `0x7f.1` are addresses to a resolver.
        rf"^(({_LABEL}\.)+[a-z]([-a-z0-9]*[a-z0-9])?|{_OCTET}(\.{_OCTET}){{3}}|[0-9a-f:]*:[0-9a-f:.]*)$",
        "must be a DNS name in lower case with at least one '.', or an IP address",
    ),
    Rule(
        f"!self.matches('{_IN_CLUSTER}')",
        "must not be a name of the cluster: specify destination.service or destination.pod instead",
        lambda host: not re.search(_IN_CLUSTER, host),
    ),
]
PortNumber = Annotated[int, Field(strict=True, ge=1, le=65535)]
PortNumberOrName = Annotated[
    Annotated[int, Field(strict=True)] | str,
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 63}),
    Rule(
        "type(self) == int ? self >= 1 && self <= 65535 "
        f": self.matches('{_PORT_NAME}') && self.matches('[a-z]')",
        "must be a port number from 1 to 65535, without quotes, or the name of one of the Service's ports",
        _is_port,
    ),
]
HeaderName = Annotated[
    str,
    Field(max_length=64),
    matches("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "must be an HTTP token: letters, digits and !#$%&'*+-.^_`|~"),
    Rule(
        f"!(self.lowerAscii() in [{', '.join(repr(name) for name in _OWN_HEADERS)}])",
        f"must not be one of {', '.join(_OWN_HEADERS)}: curl sets these headers itself",
        lambda name: name.lower() not in _OWN_HEADERS,
    ),
]
HeaderValue = Annotated[
    str,
    Field(max_length=1024),
    matches(
        r"^([^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?$",
        "must not contain line breaks or other control characters, or start or end with blanks",
    ),
]
RequestPath = Annotated[
    str,
    Field(max_length=2048),
    matches(
        r'^/[!"$-~]*$',
        "must start with '/' and contain only visible ASCII characters except '#'; percent-encode all others",
    ),
]
Body = Annotated[
    str,
    Field(max_length=BODY_LIMIT_BYTES),
    Rule(
        f"size(bytes(self)) <= {BODY_LIMIT_BYTES}",
        f"must be at most {BODY_LIMIT_BYTES} bytes of UTF-8",
        lambda text: len(text.encode()) <= BODY_LIMIT_BYTES,
    ),
    matches(r"^[^\x00]*$", "must not contain NUL, which can't be passed to curl"),
]
