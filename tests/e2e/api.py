"""Objects in the lab's API server, as plain JSON over one connection: tests poll a lot, and a kubectl each would cost
more than what is tested. In: paths. Out: objects. Used by everything beside it.
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


class Refused(Exception):  # noqa: N818 (it is the answer, not an error)
    """The API server answered with an HTTP error; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """The API server, as the administrator. Raises Refused, or urllib3's errors when it is away."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def get(self, path: str) -> Object | None:
        """The object at this path; None if there is none."""
        try:
            return self._call("GET", path)
        except Refused as answer:
            if answer.status == _NOT_FOUND:
                return None
            raise

    def items(self, path: str) -> list[Object]:
        """The objects of a list."""
        found: list[Object] = self._call("GET", path)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        """Make an object; `path` is that of the list."""
        return self._call("POST", path, body)

    def patch(self, path: str, changes: Object) -> Object:
        """Change an object by a merge patch."""
        return self._call("PATCH", path, changes, MERGE_PATCH)

    def delete(self, path: str) -> None:
        """Delete an object at once; one that is gone already is fine."""
        try:
            self._call("DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
        except Refused as answer:
            if answer.status != _NOT_FOUND:
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
    """The API server that this kubeconfig leads to, by its client certificate."""
    client = new_client_from_config(str(kubeconfig))
    try:
        yield Api(client)
    finally:
        client.rest_client.pool_manager.clear()


def pod_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def is_ready(pod: Mapping[str, Any]) -> bool:
    """A pod that is Ready and is to stay."""
    conditions = pod.get("status", {}).get("conditions", ())
    staying = "deletionTimestamp" not in pod["metadata"]
    return staying and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
