"""DatapathProbes in the API server: writes their status, reads one, lists all.

In: the status that `publish` makes of a run. Out: `publish.interfaces.StatusApi`, and the full list with which
`control` finds probes whose deletion kopf missed. Called by `publish.status_writer`, `control` and `cli`. API errors
are values here, never exceptions.
"""

from collections.abc import Mapping

from kubernetes.aio.client import ApiClient

from ...api.bounds import essential
from ...api.group import API_VERSION, KIND, PLURAL
from ...publish.interfaces import Gone, ProbeRef, Retry, WriteResult, Written
from .. import rest
from ..objects.fields import elements, text
from ..rest import ApiError

FIELD_MANAGER = "datapath-probe"
# Statuses of an answer about the content of a request. Server-side apply reports a field that the schema does not have
# as an internal error (observed with Kubernetes 1.34.2), for example if the CRD is older than the operator.
_INVALID = frozenset({400, 413, 422})
_INTERNAL, _NOT_TYPED = 500, "failed to create typed patch object"
APPLY = "application/apply-patch+yaml"


class Probes:
    """The DatapathProbes of all namespaces.

    A probe that was deleted and recreated under the same name must not get the old one's result. The API server
    ignores `metadata.uid` when the status of a custom resource is applied (observed with Kubernetes 1.34.2), so each
    write carries the `resourceVersion` last seen with that uid.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._versions: dict[str, str] = {}  # resourceVersion by uid

    async def write(self, probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
        """Replace the status of the probe; Gone if the probe with this uid no longer exists. If the API server refuses
        the status, what is essential of it is written.
        """
        result = await self._write(probe, status)
        reduced = essential(status)
        if not (isinstance(result, Retry) and result.invalid) or reduced in ({}, status):
            return result
        written = await self._write(probe, reduced)
        return Written(refused=result) if isinstance(written, Written) else written

    async def _write(self, probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
        try:
            if probe.uid not in self._versions:
                await self._read_version(probe)
            try:
                await self._apply(probe, status)
            except ApiError as error:
                if error.status != rest.CONFLICT:
                    raise
                await self._read_version(probe)
                await self._apply(probe, status)
        except _RecreatedError:
            return self._gone(probe)
        except ApiError as error:
            if error.status == rest.NOT_FOUND:
                return self._gone(probe)
            return _retry(probe, error)
        return Written()

    async def read(self, namespace: str, name: str) -> Mapping[str, object] | Gone | Retry:
        """The current object."""
        try:
            found = await rest.request(self._client, "GET", _path(namespace, name), {})
        except ApiError as error:
            return Gone() if error.status == rest.NOT_FOUND else Retry(f"{namespace}/{name}: {error}")
        return (
            found if isinstance(found, dict) else Retry(f"{namespace}/{name}: the response is not an object")
        )

    async def list_refs(self) -> frozenset[ProbeRef] | Retry:
        """All existing probes; never a partial list."""
        versions = {}
        try:
            path = f"/apis/{API_VERSION}/{PLURAL}"
            async for page in rest.pages(self._client, path, {}, accept=rest.METADATA_LIST):
                for raw in elements(page, "items"):
                    versions[_ref(raw)] = _version(raw)
        except ApiError as error:
            return Retry(f"cannot list the probes: {error}")
        self._versions = {probe.uid: version for probe, version in versions.items()}
        return frozenset(versions)

    async def _apply(self, probe: ProbeRef, status: Mapping[str, object]) -> None:
        metadata = {
            "namespace": probe.namespace,
            "name": probe.name,
            "uid": probe.uid,
            "resourceVersion": self._versions[probe.uid],
        }
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": status}
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = f"{_path(probe.namespace, probe.name)}/status"
        written = await rest.request(
            self._client, "PATCH", path, query, body, APPLY, rest.WRITE_TIMEOUT_S, accept=rest.METADATA
        )
        self._versions[probe.uid] = _version(written)

    async def _read_version(self, probe: ProbeRef) -> None:
        """Read the probe's resourceVersion. Raises _RecreatedError."""
        path = _path(probe.namespace, probe.name)
        found = await rest.request(
            self._client, "GET", path, {}, timeout_s=rest.WRITE_TIMEOUT_S, accept=rest.METADATA
        )
        if _ref(found) != probe:
            raise _RecreatedError
        self._versions[probe.uid] = _version(found)

    def _gone(self, probe: ProbeRef) -> Gone:
        self._versions.pop(probe.uid, None)
        return Gone()


class _RecreatedError(Exception):
    """A probe with another uid has the name now."""


def _retry(probe: ProbeRef, error: ApiError) -> Retry:
    reason = f"the status of {probe.namespace}/{probe.name} was not written: {error}"
    invalid = error.status in _INVALID or (error.status == _INTERNAL and _NOT_TYPED in str(error))
    refused = invalid or (not error.transient and error.status != rest.CONFLICT)
    return Retry(reason, error.status, refused, invalid)


def _ref(raw: object) -> ProbeRef:
    return ProbeRef(*(text(raw, "metadata", key) for key in ("namespace", "name", "uid")))


def _version(raw: object) -> str:
    return text(raw, "metadata", "resourceVersion")


def _path(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}"
