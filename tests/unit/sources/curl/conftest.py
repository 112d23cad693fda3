"""A server for requests of the real curl."""

from collections.abc import Iterator

import pytest

from unit.sources.http_server import OK, Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(server: Server) -> None:
    server.take()
    server.response = OK
