"""Objects in the lab's API server, as plain JSON over one connection: tests poll often, and a kubectl per request would
be too slow.

In: paths. Out: objects. Used by the e2e tests, the fault bench, and the soak and load tests.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

Object = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
_NOT_FOUND = 404
_TIMEOUT_S = 10.0


class Refused(Exception):  # noqa: N818 (an expected response, not an error)
    """The API server responded with an HTTP error; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """The API server, as cluster admin. Raises Refused, or errors of urllib3 if it is not reachable."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def get(self, path: str) -> Object | None:
        """The object at this path; None if it does not exist."""
        try:
            return self._call("GET", path)
        except Refused as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise

    def items(self, path: str) -> list[Object]:
        """The objects of a list."""
        found: list[Object] = self._call("GET", path)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        """Create an object; `path`: that of the list."""
        return self._call("POST", path, body)

    def patch(self, path: str, changes: Object) -> Object:
        """Change an object by a merge patch."""
        return self._call("PATCH", path, changes, MERGE_PATCH)

    def delete(self, path: str) -> None:
        """Delete an object immediately; no error if it does not exist."""
        try:
            self._call("DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise

    def _call(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        response = self._client.rest_client.request(
            method,
            f"{self._client.configuration.host}{path}",
            headers={"Accept": "application/json", "Content-Type": kind},
            body=body,
            _request_timeout=_TIMEOUT_S,
        )
        found: Object = json.loads(response.read())
        if response.status >= 300:
            raise Refused(response.status, found.get("message", ""))
        return found


@contextmanager
def connect(kubeconfig: Path) -> Iterator[Api]:
    """Connect to the API server of this kubeconfig, with its client certificate."""
    client = new_client_from_config(str(kubeconfig))
    try:
        yield Api(client)
    finally:
        client.rest_client.pool_manager.clear()


def pod_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is Ready and not terminating."""
    conditions = pod.get("status", {}).get("conditions", ())
    permanent = "deletionTimestamp" not in pod["metadata"]
    return permanent and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
