"""An API server that knows one thing, `pods/exec`, with real local processes in place of containers.

Speaks v4 and v5 as Kubernetes 1.34 does: stdin ends with the connection, v5 can end it before; one Status at the
end. Can be told to misbehave. For all tests that run commands in pods.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


@dataclass
class ExecServer:
    """What was asked of it so far, and how it is to behave from now on."""

    server: TestServer
    requests: list[web.Request] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    connections: set[web.WebSocketResponse] = field(default_factory=set)
    protocols: tuple[str, ...] = (V5, V4)
    refusal: tuple[int, str | None] | None = None  # HTTP status, and message of the Status
    failure: dict[str, Any] | None = None  # this Status instead of a process
    cut_after: int | None = None  # so many bytes of output, then the connection is gone
    frame_size: int = 32 * 1024
    is_mute: bool = False  # output and Status are kept back

    def configuration(self) -> Configuration:
        """A login."""
        return Configuration(host=str(self.server.make_url("")).rstrip("/"))

    async def restart(self) -> None:
        """Close all connections, as an API server does that goes away."""
        for connection in tuple(self.connections):
            await connection.close(code=WSCloseCode.GOING_AWAY)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        offer = [each.strip() for each in request.headers["Sec-WebSocket-Protocol"].split(",")]
        common = [each for each in offer if each in self.protocols]
        if self.refusal or not common:
            status, message = self.refusal or (403, None)
            body = json.dumps({"kind": "Status", "status": "Failure", "message": message}) if message else ""
            return web.Response(status=status, text=body)
        websocket = web.WebSocketResponse(protocols=common)
        await websocket.prepare(request)
        self.connections.add(websocket)
        with suppress(ConnectionError):  # the client may be gone at any point
            await websocket.send_bytes(b"\1")  # "the stream is open"
            status_object = self.failure or await self._run(websocket, request)
            if not self.is_mute:
                await websocket.send_bytes(b"\3" + json.dumps(status_object).encode())
        self.connections.discard(websocket)
        return websocket

    async def _run(self, websocket: web.WebSocketResponse, request: web.Request) -> dict[str, Any]:
        pipe = asyncio.subprocess.PIPE
        command = request.query.getall("command")
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError:  # in containerd's words
            message = f'error executing command in container: failed to exec in container: failed to start exec "f00d": OCI runtime exec failed: exec failed: unable to start container process: exec: "{command[0]}": executable file not found in $PATH: unknown'
            return {"status": "Failure", "reason": "InternalError", "code": 500, "message": message}
        self.processes.append(process)
        assert process.stdin and process.stdout and process.stderr
        feeding = asyncio.create_task(self._feed(websocket, process.stdin))
        await asyncio.gather(
            self._copy(websocket, request, 1, process.stdout),
            self._copy(websocket, request, 2, process.stderr),
        )
        exit_code = await process.wait()
        feeding.cancel()
        await asyncio.wait((feeding,))
        if exit_code == 0:
            return {"status": "Success"}
        cause = {"reason": "ExitCode", "message": str(exit_code if exit_code > 0 else 128 - exit_code)}
        return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}

    async def _feed(self, websocket: web.WebSocketResponse, stdin: asyncio.StreamWriter) -> None:
        async for message in websocket:
            if message.data[0] == 0:
                stdin.write(message.data[1:])
            elif message.data == b"\xff\0" and websocket.ws_protocol == V5:
                stdin.close()
        stdin.close()

    async def _copy(
        self, websocket: web.WebSocketResponse, request: web.Request, channel: int, output: asyncio.StreamReader
    ) -> None:
        while data := await output.read(self.frame_size):
            if not self.is_mute:
                with suppress(ConnectionError):
                    await websocket.send_bytes(bytes((channel,)) + data[: self.cut_after])
            if self.cut_after is not None:
                self.cut_after = max(0, self.cut_after - len(data))
                if self.cut_after == 0 and request.transport:
                    request.transport.abort()


@asynccontextmanager
async def exec_server() -> AsyncIterator[ExecServer]:
    """Serve on a free port of loopback; at the end no process is left."""
    app = web.Application()
    serving = ExecServer(TestServer(app))
    app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/exec", serving._exec)
    async with serving.server:
        yield serving
        for process in serving.processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
