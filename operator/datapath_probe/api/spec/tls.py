"""How the server of an HTTPS request is authenticated. Part of the spec."""

from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from ..model import ApiModel, Rule, matches
from .scalars import ObjectName

ServerName = Annotated[
    str,
    Field(max_length=253),
    matches(
        # curl takes `0x7f000001` or `127.1` for an address, and connects to it instead of the destination. The last
        # part of a name starts with a letter.
        r"^([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?\.)*[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$",
        "must be a host name, without a port: letters, digits, '-' and '.', the last part starting with a letter",
    ),
]
Key = Annotated[
    str,
    Field(max_length=253),
    matches(
        r"^[-._a-zA-Z0-9]+$", "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.'"
    ),
]


class KeyRef(ApiModel):
    """A key of an object in the namespace of the probe."""

    name: ObjectName
    """Name of the object."""

    key: Key
    """Key of the value."""


class CaFrom(ApiModel):
    """Where certificates are: exactly one of configMap and secret."""

    rules: ClassVar = (
        Rule(
            "has(self.configMap) != has(self.secret)",
            "must specify exactly one of configMap and secret",
            lambda ca: (ca.config_map is None) != (ca.secret is None),
        ),
    )

    config_map: KeyRef | None = None
    """A ConfigMap in the namespace of the probe."""

    secret: KeyRef | None = None
    """A Secret in the namespace of the probe. The operator can read it only if a Role grants that: see
    docs/permissions.md."""


class Tls(ApiModel):
    """How the server is authenticated."""

    rules: ClassVar = (
        Rule(
            "!has(self.caFrom) || !self.insecureSkipVerify",
            "caFrom has no effect with insecureSkipVerify: leave out one of them",
            lambda tls: tls.ca_from is None or not tls.insecure_skip_verify,
        ),
    )

    ca_from: CaFrom | None = None
    """The certificates of CAs to trust: PEM, at most 16 KiB, and nothing but certificates. Default: the CAs that the
    source container trusts."""

    server_name: ServerName | None = None
    """Name that the request asks for in the TLS handshake (SNI), that the certificate must have, and that the header
    Host contains unless headers sets it. The request goes to the same address. Default: the host that is requested:
    NAME.NAMESPACE.svc for a Service, the IP address for a pod."""

    insecure_skip_verify: StrictBool = False
    """Whether to accept any certificate. Anyone on the path could then answer."""
