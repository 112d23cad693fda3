"""An API server with only `pods/exec`, and real local processes instead of containers.

Supports v4 and v5 like Kubernetes 1.34: stdin ends with the connection, and with v5 also before; one Status at the end.
Can be configured to misbehave. For all tests that run commands in pods.
"""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

_Output = asyncio.StreamReader | None
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


@dataclass
class ExecServer:
    """The requests so far, and the configured behavior."""

    server: TestServer
    requests: list[web.Request] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    connections: set[web.WebSocketResponse] = field(default_factory=set)
    serving: list[asyncio.Task[web.StreamResponse]] = field(default_factory=list)
    protocols: tuple[str, ...] = (V5, V4)  # empty: names none, accepts all
    refusal: tuple[int, str | None] | None = None  # HTTP status, and message of the Status
    failure: dict[str, Any] | None = None  # this Status instead of a process
    cut_after: int | None = None  # cut the connection after this number of bytes of the first output
    frame_size: int = 32 * 1024
    is_mute: bool = False  # output and Status are withheld
    answers_pings: bool = True

    def configuration(self) -> Configuration:
        """The configuration of a client."""
        return Configuration(host=str(self.server.make_url("")).rstrip("/"))

    async def restart(self) -> None:
        """Close all connections, like an API server that is restarted."""
        for connection in tuple(self.connections):
            await connection.close(code=WSCloseCode.GOING_AWAY)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        offer = request.headers["Sec-WebSocket-Protocol"].split(",")
        common = [each.strip() for each in offer if each.strip() in self.protocols]
        if self.refusal or (self.protocols and not common):
            status, message = self.refusal or (403, None)
            body = json.dumps({"kind": "Status", "status": "Failure", "message": message}) if message else ""
            return web.Response(status=status, text=body)
        # Like a process of a container it outlives the connection: TestServer would cancel the handler with it.
        self.serving.append(asyncio.create_task(self._serve(request, common)))
        return await asyncio.shield(self.serving[-1])

    async def _serve(self, request: web.Request, protocols: list[str]) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=protocols, autoping=self.answers_pings)
        self.connections.add(websocket)
        with suppress(ConnectionError):  # the client may disconnect at any point
            await websocket.prepare(request)
            await websocket.send_bytes(b"\1")  # "the stream is open"
            status_object = self.failure or await self._run(websocket, request.query.getall("command"))
            if not self.is_mute:
                await websocket.send_bytes(b"\3" + json.dumps(status_object).encode())
        self.connections.discard(websocket)
        return websocket

    async def _run(self, websocket: web.WebSocketResponse, command: list[str]) -> dict[str, Any]:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError:  # the message of containerd and runc
            message = f'OCI runtime exec failed: exec: "{command[0]}": executable file not found in $PATH'
            return {"status": "Failure", "reason": "InternalError", "code": 500, "message": message}
        self.processes.append(process)
        feeding = asyncio.create_task(self._feed(websocket, process.stdin))
        copying = self._copy(websocket, 1, process.stdout), self._copy(websocket, 2, process.stderr)
        await asyncio.gather(*copying)
        code = await process.wait()
        feeding.cancel()
        if code == 0:
            return {"status": "Success"}
        cause = {"reason": "ExitCode", "message": str(code if code > 0 else 128 - code)}
        return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}

    async def _feed(self, websocket: web.WebSocketResponse, stdin: asyncio.StreamWriter | None) -> None:
        assert stdin
        async for message in websocket:
            if message.type is WSMsgType.BINARY and message.data[0] == 0:
                stdin.write(message.data[1:])
            elif message.data == b"\xff\0" and websocket.ws_protocol == V5:
                stdin.close()
        stdin.close()

    async def _copy(self, websocket: web.WebSocketResponse, channel: int, output: _Output) -> None:
        assert output
        while data := await output.read(self.frame_size):
            with suppress(ConnectionError):
                if not self.is_mute:
                    await websocket.send_bytes(bytes((channel,)) + data[: self.cut_after])
            if self.cut_after is not None:
                websocket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def exec_server() -> AsyncIterator[ExecServer]:
    """Serve on a free loopback port; at the end no process is left."""
    server = ExecServer(TestServer(web.Application()))
    server.server.app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/exec", server._exec)
    async with server.server:
        yield server
        for pid in _in_sessions({process.pid for process in server.processes}):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*server.serving)


def _in_sessions(leaders: set[int]) -> Iterator[int]:
    """The processes of these sessions, including those that a shell started in process groups of their own."""
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((proc / "stat").read_text().rpartition(")")[2].split()[3]) in leaders:
                yield int(proc.name)
