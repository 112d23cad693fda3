import asyncio
import socket

import pytest

from lab import forward


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Replies only after the client has closed its side."""
    writer.write((await reader.read()).upper())
    writer.close()


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


async def test_bytes_pass_both_ways_and_a_half_closed_connection_stays_open(
    listener: socket.socket,
) -> None:
    async with await asyncio.start_server(_shout, "127.0.0.1", 0) as inside:
        port = inside.sockets[0].getsockname()[1]
        serving = asyncio.create_task(forward._serve(listener, "127.0.0.1", port))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        writer.write(b"x" * 200_000)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b"X" * 200_000
        writer.close()
        serving.cancel()


async def test_without_a_server_connections_end_and_later_ones_are_forwarded(
    listener: socket.socket,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    serving = asyncio.create_task(forward._serve(listener, "127.0.0.1", port))
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    assert not serving.done()
    serving.cancel()
