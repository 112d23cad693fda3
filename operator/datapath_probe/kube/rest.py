"""Reads raw JSON through an `ApiClient`: single answers, and watches line by line.

In: a path of the API and its query. Out: JSON, or `ApiError` for whatever kept the answer away. Called by
`kube.reflector`. The client's models are left out on purpose: they cost much and refuse what they do not know.
Its `watch.Watch` is not fit either: it reconnects for ever in silence, takes an error page for an event, and
tries an expired version again.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from .fields import text

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0

EXPIRED = 410
NOT_FOUND = 404


class ApiError(Exception):
    """No usable answer. `status`: of HTTP; None when the server could not be reached or understood."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


async def get(client: ApiClient, path: str, query: Mapping[str, str]) -> object:
    """The JSON value at the path. Raises ApiError."""
    async with _answer(client, path, query, READ_TIMEOUT_S) as response:
        return json.loads(await response.read())


@asynccontextmanager
async def watch(
    client: ApiClient, path: str, query: Mapping[str, str], timeout_s: float
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The lines of a watch, which is open once entered. Raises ApiError, also after `timeout_s` in all."""
    async with _answer(client, path, query, timeout_s) as response:
        yield aiter(response.content)


@asynccontextmanager
async def _answer(
    client: ApiClient, path: str, query: Mapping[str, str], timeout_s: float
) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
    try:
        request = await client.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = await client.call_api(*request, _request_timeout=timeout, _preload_content=False)
        async with answer.response as response:
            if response.status != 200:
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
