"""The certificates of operator and node agents, kept in two Secrets of the operator's namespace.

In: a client. Out: what the operator presents. The CA is made at the first start, by whichever replica comes first; the
certificate of the agents is issued again before it expires, and by a new CA if the Secret of the old one is emptied.
Called by `cluster`. With certificates from elsewhere (`--node-certificates`) it is not used.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from kubernetes.aio.client import ApiClient

from ..nodes.certificates.authority import Identity, Pair, Role, is_due, is_of, issue, new_authority
from ..nodes.certificates.files import AUTHORITY, CERTIFICATE, KEY
from . import rest
from .objects.fields import text
from .rest import ApiError

log = structlog.get_logger(__name__)

CA_SECRET, NODE_SECRET = "datapath-probe-node-ca", "datapath-probe-node-tls"  # names of objects
_INTERVAL_S, _RETRY_S = 3600.0, 5.0


@dataclass(frozen=True, slots=True)
class _Secret:
    """A Secret as read: the object, for an update of exactly this version."""

    raw: Mapping[str, object]
    data: Mapping[str, bytes]


class NodeCertificates:
    """Issues certificates while `run` runs. `identity`: what the operator presents, None before the first."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self.identity: Identity | None = None

    async def run(self) -> None:
        """Keep the certificates valid; never returns."""
        while True:
            try:
                await self.refresh(datetime.now(UTC))
                pause_s = _INTERVAL_S
            except (ApiError, ValueError) as error:
                log.warning("certificates of node agents not checked", error=str(error))
                pause_s = _RETRY_S
            await asyncio.sleep(pause_s)

    async def refresh(self, now: datetime) -> None:
        """Renew what is due. Raises ApiError, also if another replica has just written; ValueError for a CA that can't
        be read.
        """
        ca = await self._read(CA_SECRET)
        authority = Pair(ca.data.get(CERTIFICATE, b""), ca.data.get(KEY, b""))
        if not authority.certificate:
            authority = new_authority(now)
            await self._write(CA_SECRET, ca, {CERTIFICATE: authority.certificate, KEY: authority.key})
            log.info("made the CA of node agents", secret=CA_SECRET)
        node = await self._read(NODE_SECRET)
        if self._is_to_be_issued(node.data, authority, now):
            issued = issue(authority, Role.NODE, now)
            data = {CERTIFICATE: issued.pair.certificate, KEY: issued.pair.key, AUTHORITY: issued.authority}
            await self._write(NODE_SECRET, node, data)
            log.info("issued the certificate of node agents", secret=NODE_SECRET)
        mine = self.identity
        if mine is None or mine.authority != authority.certificate or is_due(mine.pair.certificate, now):
            self.identity = issue(authority, Role.OPERATOR, now)

    @staticmethod
    def _is_to_be_issued(data: Mapping[str, bytes], authority: Pair, now: datetime) -> bool:
        certificate = data.get(CERTIFICATE, b"")
        whole = bool(data.get(KEY)) and data.get(AUTHORITY) == authority.certificate
        return not whole or is_due(certificate, now) or not is_of(certificate, authority.certificate)

    async def _read(self, name: str) -> _Secret:
        raw = await rest.request(self._client, "GET", self._path(name), {}, timeout_s=rest.WRITE_TIMEOUT_S)
        if not isinstance(raw, dict):
            raise ApiError(f"{name} is not an object")
        return _Secret(raw, {key: _decoded(raw, key) for key in (CERTIFICATE, KEY, AUTHORITY)})

    async def _write(self, name: str, read: _Secret, data: Mapping[str, bytes]) -> None:
        """Write, unless another client has written since."""
        body = {**read.raw, "data": {key: base64.b64encode(value).decode() for key, value in data.items()}}
        await rest.request(
            self._client, "PUT", self._path(name), {}, body=body, timeout_s=rest.WRITE_TIMEOUT_S
        )

    def _path(self, name: str) -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets/{name}"


def _decoded(raw: object, key: str) -> bytes:
    """The value of a key; empty if there is none."""
    try:
        return base64.b64decode(text(raw, "data", key), validate=True)
    except binascii.Error:
        return b""
