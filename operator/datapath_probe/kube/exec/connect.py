"""One exec over one WebSocket: handshake, stdin, and events.

In: a container, an argv. Out: an `ExecStream` of `protocol` events, or an `ExecError`. Called by `one_shot` and
`shell`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration, CoreV1Api
from kubernetes.aio.config import ConfigException
from kubernetes.aio.stream.ws_client import WsResponse

from ...collect.interfaces import ContainerRef
from ...evidence.errors import EvidenceError
from ..client import USER_AGENT
from .failure import ExecError, channel_lost, refused, timeout
from .protocol import CLOSE_STDIN, V4, V5, Event, ProtocolError, RemoteCommand, stdin_message

_OPEN_TIMEOUT_S = 10.0
_PING_EVERY_S = 15.0  # without a pong for half of this time, the connection is lost
_CLOSE_TIMEOUT_S = 0.5
_MESSAGE_LIMIT = 1024 * 1024  # the kubelet copies 32 KiB at a time
_REFUSAL_LIMIT = 16 * 1024


class ExecClient(ApiClient):
    """An ApiClient whose calls are WebSocket handshakes: the usual authentication and URLs, but its own connections.

    kubernetes.aio's `WsApiClient` offers only v4, and drops the proxy, the TLS server name and the API server's error
    message. Shares the connection pool that `kube.client` put into `configuration`.
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self.user_agent = USER_AGENT
        self._session: aiohttp.ClientSession | None = None

    async def call_api(
        self,
        method: str,
        url: str,
        header_params: dict[str, str] | None = None,
        body: object = None,
        post_params: object = None,
        _request_timeout: object = None,
        _preload_content: bool = True,
    ) -> WsResponse:
        """Do the handshake. The header `Sec-WebSocket-Protocol` contains the offer, "v5…,v4…"."""
        headers = dict(header_params or {})
        offer = headers.pop("Sec-WebSocket-Protocol")
        if self._session is None:
            self._session = self._open_session()
        websocket = await self._session.ws_connect(
            url,
            method=method,
            protocols=offer.split(","),
            headers=headers,
            heartbeat=_PING_EVERY_S,
            max_msg_size=_MESSAGE_LIMIT,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
            proxy=self.configuration.proxy,
            proxy_headers=self.configuration.proxy_headers,
            server_hostname=self.configuration.tls_server_name,
        )
        return WsResponse(101, b"", response=websocket)

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        return self._session is not None and self._session.closed

    async def close(self) -> None:
        """Close the session. A shared connection pool stays open."""
        if self._session is not None:
            await self._session.close()
        await super().close()  # type: ignore[no-untyped-call]

    def _open_session(self) -> aiohttp.ClientSession:
        shared = (self.configuration.client_session_kwargs or {}).get("connector")
        return aiohttp.ClientSession(
            connector=shared or aiohttp.TCPConnector(limit=0, ssl=self.rest_client.ssl_context),
            connector_owner=shared is None,
            raise_for_status=_raise_if_refused,
            trust_env=True,
        )


class ExecStream:
    """A remote process: its standard streams and its exit."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._command = RemoteCommand()

    async def send(self, data: bytes, *, last: bool = False) -> None:
        """Write to stdin; `last` closes it (v5 only). A broken connection is reported by `receive`, not here."""
        try:
            if data:
                await self._websocket.send_bytes(stdin_message(data))
            if last:
                await self._websocket.send_bytes(CLOSE_STDIN)
        except ConnectionError:
            pass

    async def receive(self) -> tuple[Event, ...]:
        """The next events. Exited and Failed are the last. Raises ExecError."""
        message = await self._websocket.receive()
        try:
            if message.type is aiohttp.WSMsgType.BINARY:
                return self._command.feed(message.data)
            self._command.end()
        except ProtocolError as error:
            raise ExecError(EvidenceError.EXEC_FAILED, f"invalid remote-command stream: {error}") from error
        raise channel_lost("the exec connection was closed before the command ended")


@asynccontextmanager
async def open_exec(
    client: ExecClient, target: ContainerRef, argv: Sequence[str], *, stdin: bool, half_close: bool = False
) -> AsyncIterator[ExecStream]:
    """Start `argv` in the container. When the context exits, the stream is closed and the process reads end-of-file.

    `half_close` requires v5: with v4 stdin can't be closed separately, so a process that waits for its end would
    continue only when the connection is closed. Raises ExecError.
    """
    websocket = await _handshake(client, target, argv, stdin, (V5,) if half_close else (V5, V4))
    try:
        if websocket.protocol is None:
            raise ExecError(EvidenceError.EXEC_FAILED, f"the server supports neither {V4} nor {V5}")
        yield ExecStream(websocket)
    finally:
        await websocket.close()


async def _handshake(
    client: ExecClient, target: ContainerRef, argv: Sequence[str], stdin: bool, offer: Sequence[str]
) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(_OPEN_TIMEOUT_S):
            response: object = await CoreV1Api(
                client
            ).connect_get_namespaced_pod_exec_without_preload_content(
                target.pod,
                target.namespace,
                command=list(argv),
                container=target.container,
                stdin=stdin,
                stdout=True,
                stderr=True,
                _headers={"Sec-WebSocket-Protocol": ",".join(offer)},
            )
            return cast("aiohttp.ClientWebSocketResponse", response)
    except _RefusedError as error:
        if error.status == 403 and error.message is None and V4 not in offer:  # no common sub-protocol
            raise ExecError(
                EvidenceError.STDIN_UNSUPPORTED, f"exec in this cluster does not support {V5}"
            ) from None
        raise refused(error.status, error.message or "") from None
    except TimeoutError:
        raise timeout("the API server did not respond to the exec request", _OPEN_TIMEOUT_S) from None
    # The texts of aiohttp's errors may contain the URL, and so the argv: use only what is known to be safe.
    except aiohttp.ClientConnectorError as error:
        raise channel_lost(f"can't connect to the API server: {error.os_error}") from None
    except UnicodeError:
        raise ExecError(
            EvidenceError.EXEC_FAILED, "the argv is not valid Unicode, which exec requires"
        ) from None
    except ConfigException as error:
        raise ExecError(EvidenceError.EXEC_FORBIDDEN, f"no credentials for the exec: {error}") from None
    except RuntimeError:
        if client.closed:
            raise channel_lost("the operator is shutting down") from None
        raise
    except (aiohttp.ClientError, OSError) as error:
        raise channel_lost(f"the exec handshake was interrupted: {type(error).__name__}") from None


class _RefusedError(Exception):
    """The server responded to the handshake with an HTTP error."""

    def __init__(self, status: int, message: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.message = message  # from the API server's Status, if there was one


async def _raise_if_refused(response: aiohttp.ClientResponse) -> None:
    """Keep the message of a refusal, which aiohttp would discard."""
    if response.status == 101:
        return
    body = b""
    while len(body) < _REFUSAL_LIMIT and (data := await response.content.read(_REFUSAL_LIMIT)):
        body += data
    response.close()
    try:
        status: object = json.loads(body)
    except ValueError:
        status = None
    message = status.get("message") if isinstance(status, dict) else None
    raise _RefusedError(response.status, message if isinstance(message, str) else None)
