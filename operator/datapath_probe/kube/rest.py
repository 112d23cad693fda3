"""Plain JSON through an `ApiClient`: single requests, and watches line by line.

In: a path of the API and its query. Out: JSON, or `ApiError` for whatever kept the answer away. Called by
the other modules of `kube`. The client's models are left out on purpose: they cost much and refuse what they
don't know. Its `watch.Watch` is not fit either: it reconnects for ever in silence, takes an error page for an
event, and tries an expired version again.
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
PAGE_OBJECTS = 250  # bounds what one answer costs in memory, and how long parsing it holds the loop up

JSON = "application/json"

NOT_FOUND = 404
CONFLICT = 409
EXPIRED = 410
TOO_MANY_REQUESTS = 429


class ApiError(Exception):
    """No usable answer. `status`: of HTTP; None when the server could not be reached or understood."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is None or self.status == TOO_MANY_REQUESTS or self.status >= 500


async def request(
    client: ApiClient,
    method: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, object] | None = None,
    content_type: str = JSON,
) -> object:
    """Send one request; the JSON value that came back. Raises ApiError."""
    async with _answer(client, method, path, query, TIMEOUT_S, body, content_type) as response:
        return json.loads(await response.read())


async def pages(
    client: ApiClient, path: str, query: Mapping[str, str]
) -> AsyncIterator[Mapping[str, object]]:
    """The pages of a list: each holds `items` and the `metadata` of the list. Raises ApiError, also when an
    answer is no list: taken for an empty one it would make everything disappear.
    """
    query = {**query, "limit": str(PAGE_OBJECTS)}
    while True:
        page = await request(client, "GET", path, query)
        if not isinstance(page, dict) or "items" not in page or not text(page, "metadata", "resourceVersion"):
            raise ApiError("the answer is no list")
        yield page
        query["continue"] = text(page, "metadata", "continue")
        if not query["continue"]:
            return


@asynccontextmanager
async def watch(
    client: ApiClient, path: str, query: Mapping[str, str], timeout_s: float
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The lines of a watch, which is open once entered. Raises ApiError, also after `timeout_s` in all."""
    async with _answer(client, "GET", path, query, timeout_s) as response:
        yield aiter(response.content)


@asynccontextmanager
async def _answer(
    client: ApiClient,
    method: str,
    path: str,
    query: Mapping[str, str],
    timeout_s: float,
    body: Mapping[str, object] | None = None,
    content_type: str = JSON,
) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
    try:
        serialized = await client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": JSON, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await client.call_api(*serialized, _request_timeout=timeout, _preload_content=False)
        async with answer.response as response:
            if not response.ok:
                raise ApiError(await _reason(response), response.status)
            yield response
    except TimeoutError as error:
        raise ApiError(f"no answer in time ({timeout_s:g} s)") from error
    except (aiohttp.ClientError, OSError, ValueError, ConfigException) as error:
        raise ApiError(str(error) or type(error).__name__) from error


async def _reason(response: aiohttp.ClientResponse) -> str:
    """What the server says about its refusal: the message of its Status, else the HTTP reason."""
    try:
        status: object = json.loads(await response.content.read(16 * 1024))
    except ValueError:
        status = None
    return text(status, "message") or response.reason or str(response.status)
