"""Reads the certificates of CAs that probes name, from ConfigMaps and Secrets of their own namespaces.

In: a namespace and a `CaSource`. Out: PEM, or why there is none. Implements `collect.interfaces.CaCertificates`. Read
when a request needs them instead of watched: the operator has no right to list Secrets.
"""

import time
from collections.abc import Callable

from kubernetes.aio.client import ApiClient

from ..evidence.errors import EvidenceError
from ..evidence.reading import Unavailable
from ..plan.request import CaSource
from . import rest
from .objects.ca_certificates import certificates
from .rest import ApiError

TIMEOUT_S = 5.0
# How long an answer is used again; runs may be a second apart. A failure may be repaired at any time.
KEPT_S, FAILURE_KEPT_S = 60.0, 5.0
MAX_KEPT = 512
_RESOURCES = {"ConfigMap": "configmaps", "Secret": "secrets"}

_Key = tuple[str, CaSource]


class CaReader:
    """`clock`: monotonic seconds."""

    def __init__(self, client: ApiClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._kept: dict[_Key, tuple[float, str | Unavailable]] = {}  # until when, and the answer

    async def read(self, namespace: str, source: CaSource) -> str | Unavailable:
        """See `CaCertificates`."""
        key = (namespace, source)
        until, answer = self._kept.get(key, (float("-inf"), ""))
        if self._clock() < until:
            return answer
        answer = await self._read(namespace, source)
        self._keep(key, answer)
        return answer

    async def _read(self, namespace: str, source: CaSource) -> str | Unavailable:
        path = f"/api/v1/namespaces/{namespace}/{_RESOURCES[source.kind]}/{source.name}"
        try:
            found = await rest.request(self._client, "GET", path, {}, timeout_s=TIMEOUT_S)
        except ApiError as error:
            where = f"{source.kind} {namespace}/{source.name}"
            match error.status:
                case rest.NOT_FOUND:
                    return Unavailable(EvidenceError.CA_NOT_FOUND, f"there is no {where}")
                case rest.FORBIDDEN:
                    message = f"the operator may not get {where}: grant it that with a Role"
                    return Unavailable(EvidenceError.CA_FORBIDDEN, message)
            return Unavailable(EvidenceError.NOT_COLLECTED, f"{where} could not be read: {error}")
        return certificates(found, source)

    def _keep(self, key: _Key, answer: str | Unavailable) -> None:
        now = self._clock()
        if len(self._kept) >= MAX_KEPT:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        if len(self._kept) < MAX_KEPT:
            kept_s = FAILURE_KEPT_S if isinstance(answer, Unavailable) else KEPT_S
            self._kept[key] = (now + kept_s, answer)
