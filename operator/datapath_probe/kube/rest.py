"""Plain JSON over an `ApiClient`: single requests, paginated lists, and watches line by line.

In: an API path and its query. Out: JSON, or `ApiError` for every kind of failure. Called by the other modules of
`kube`. The client's typed models are avoided on purpose: they are slow and reject unknown values. So is its
`watch.Watch`: it reconnects forever without reporting it, parses an error page as an event, and retries an expired
resourceVersion.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from .objects.fields import text

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 10.0  # of a small write, which others wait for
# Both limit the memory of one response, and how long parsing it blocks the event loop. An object has at most 2 MiB.
PAGE_OBJECTS, PAGE_BYTES = 250, 4 * 1024 * 1024

JSON = "application/json"
# Objects without spec and status: a tenth of the memory, where only names, uids and versions matter.
METADATA = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

FORBIDDEN = 403
NOT_FOUND = 404
CONFLICT = 409
EXPIRED = 410
TOO_MANY_REQUESTS = 429


class ApiError(Exception):
    """No usable response. `status`: the HTTP status; None if the server was unreachable or sent no valid response."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def transient(self) -> bool:
        """Whether a retry of the same request may succeed."""
        return self.status is None or self.status == TOO_MANY_REQUESTS or self.status >= 500


async def request(
    client: ApiClient,
    method: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, object] | None = None,
    content_type: str = JSON,
    timeout_s: float = TIMEOUT_S,
    *,
    accept: str = JSON,
) -> object:
    """Send one request and return the JSON value of the response. Raises ApiError."""
    async with _response(client, method, path, query, timeout_s, body, content_type, accept) as response:
        return json.loads(await response.read())


async def pages(
    client: ApiClient, path: str, query: Mapping[str, str], *, accept: str = JSON
) -> AsyncIterator[Mapping[str, object]]:
    """Yield the pages of a list, each with `items` and list `metadata`; smaller ones where objects are large. Raises
    ApiError, also for a response that is not a list: treated as an empty list, it would remove every cached object.
    """
    query, limit = dict(query), PAGE_OBJECTS
    while True:
        query["limit"] = str(limit)
        async with _response(client, "GET", path, query, TIMEOUT_S, accept=accept) as response:
            body = await _read(response, PAGE_BYTES if limit > 1 else None)
        if body is None:
            limit = max(1, limit // 8)
            continue
        page: object = _json(body)
        if not isinstance(page, dict) or "items" not in page or not text(page, "metadata", "resourceVersion"):
            raise ApiError("the response is not a list")
        yield page
        query["continue"] = text(page, "metadata", "continue")
        if not query["continue"]:
            return


async def _read(response: aiohttp.ClientResponse, limit_bytes: int | None) -> bytes | None:
    """The body of a response; None if it exceeds the limit."""
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if limit_bytes and len(body) > limit_bytes:
            return None
    return bytes(body)


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(str(error)) from error


@asynccontextmanager
async def watch(
    client: ApiClient, path: str, query: Mapping[str, str], timeout_s: float, *, accept: str = JSON
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open a watch and yield its lines. Raises ApiError, also when `timeout_s` has passed in total."""
    async with _response(client, "GET", path, query, timeout_s, accept=accept) as response:
        yield aiter(response.content)


@asynccontextmanager
async def _response(
    client: ApiClient,
    method: str,
    path: str,
    query: Mapping[str, str],
    timeout_s: float,
    body: Mapping[str, object] | None = None,
    content_type: str = JSON,
    accept: str = JSON,
) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
    try:
        serialized = await client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        called = await client.call_api(*serialized, _request_timeout=timeout, _preload_content=False)
        async with called.response as response:
            if not response.ok:
                raise ApiError(await _reason(response), response.status)
            yield response
    except TimeoutError as error:
        raise ApiError(f"no response within {timeout_s:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError, ConfigException) as error:
        raise ApiError(str(error) or type(error).__name__) from error


async def _reason(response: aiohttp.ClientResponse) -> str:
    """The server's error message: that of its Status object, else the HTTP reason phrase."""
    try:
        status: object = json.loads(await response.content.read(16 * 1024))
    except ValueError:
        status = None
    return text(status, "message") or response.reason or str(response.status)
