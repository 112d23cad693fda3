"""A server that returns scripted responses, for cases that are rare or impossible with a real API server."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from datapath_probe.kube.client import connect


class Then(Enum):
    """What follows the body."""

    END = "the answer ends in order"
    CUT = "the connection is cut"
    SILENCE = "nothing, and the connection stays"


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one request."""

    body: bytes
    then: Then = Then.END
    status: int = 200


def listing(*names: str, version: str = "5") -> Answer:
    """A list of objects that have only names."""
    items = [{"metadata": {"name": name}} for name in names]
    return Answer(json.dumps({"items": items, "metadata": {"resourceVersion": version}}).encode())


def event(type_: str, content: Mapping[str, object]) -> bytes:
    """One line of a watch."""
    return json.dumps({"type": type_, "object": content}).encode() + b"\n"


def named(name: str, version: str = "6") -> dict[str, object]:
    """An object that has only a name."""
    return {"metadata": {"name": name, "resourceVersion": version}}


class Script:
    """`queries`, `accepted`: queries and media types of the requests so far. After the last response, further requests
    get none.
    """

    def __init__(self, *answers: Answer) -> None:
        self.queries: list[dict[str, str]] = []
        self.accepted: list[str] = []
        self._answers = list(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Return the next response."""
        self.queries.append(dict(request.query))
        self.accepted.append(request.headers["Accept"])
        answer = self._answers.pop(0) if self._answers else Answer(b"", Then.SILENCE)
        response = web.StreamResponse(status=answer.status)
        await response.prepare(request)
        await response.write(answer.body)
        if answer.then is Then.SILENCE:
            await asyncio.Event().wait()
        if answer.then is Then.CUT and request.transport:
            request.transport.abort()
        return response


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[ApiClient]:
    """A client of a server that follows the script."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    async with TestServer(app) as server, connect(Configuration(host=str(server.make_url("")))) as client:
        yield client
