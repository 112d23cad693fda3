"""The only entries to the lab: listeners on the machine's loopback, forwarded to the API server or from node1.

A socket belongs to the network namespace in which it was created: `start` creates the listener here and passes it to
this module, run as a program in node1's network namespace, which opens the outgoing connections. Called by `lifecycle`.
"""

import asyncio
import contextlib
import socket
import sys
from functools import partial
from pathlib import Path

from lab import cgroups
from lab.node import Node
from lab.paths import CHECKOUT, STATE
from lab.processes import start_detached
from lab.settings import API_PORT

RECORD = STATE / "forward.json"
API_SERVER = "127.0.0.1", API_PORT


def start(node1: Node, port: int = 0, to: tuple[str, int] = API_SERVER, record: Path = RECORD) -> int:
    """Start forwarding from a loopback port (0: a free one) to an address that node1 reaches. Returns the port.
    `record`: where the process is noted.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        fd = listener.fileno()
        argv = cgroups.joining(
            node1.name,
            *("env", f"PYTHONPATH={CHECKOUT / 'tests'}"),
            *(
                "nsenter",
                f"--net=/proc/{node1.init().pid}/ns/net",
                sys.executable,
                "-m",
                "lab.forward",
                *(str(fd), to[0], str(to[1])),
            ),
        )
        start_detached(argv, STATE / "log" / "forward.log", pass_fds=[fd]).save(record)
        return int(listener.getsockname()[1])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def _forward(host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except OSError:
            return
        with contextlib.closing(inner_writer):
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))


async def _serve(listener: socket.socket, host: str, port: int) -> None:
    async with await asyncio.start_server(partial(_forward, host, port), sock=listener) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
