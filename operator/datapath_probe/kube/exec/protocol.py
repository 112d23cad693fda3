"""The remote-command sub-protocols of Kubernetes over WebSocket, v4 and v5, without I/O.

In: binary WebSocket messages. Out: frozen events. Each message is one channel byte and a payload. Channel 3 carries one
`Status` in JSON, which ends the command. v5 adds channel 255: "half-close that channel".
Called by `connect`. Source: Kubernetes 1.34 `apimachinery/pkg/util/httpstream/wsstream/conn.go`,
`apiserver/pkg/util/proxy/websocket.go`, `client-go/tools/remotecommand/v4.go`.
"""

import json
import re
from dataclasses import dataclass

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"

_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
_STATUS_LIMIT, _STATUS_PIECES = 32 * 1024, 1024  # each piece may be the last, so each is parsed
_JSON = json.JSONDecoder()
_EXIT_CODE = re.compile(r"[0-9]{1,3}")

CLOSE_STDIN = bytes((_CLOSE, _STDIN))
"""The message that closes stdin of the remote process (v5 only)."""


@dataclass(frozen=True, slots=True)
class Stdout:
    """A piece of standard output. Pieces end anywhere, also inside a character."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Stderr:
    """A piece of standard error."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Exited:
    """The process ran and exited with a code from 0 to 255."""

    code: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The process could not be run, or its exit is not known: `reason`, `message` and `code` of the Status."""

    reason: str
    message: str
    code: int


Event = Stdout | Stderr | Exited | Failed


class ProtocolError(Exception):
    """The server violated the protocol, v4 or v5."""


def stdin_message(data: bytes) -> bytes:
    """The message that writes `data` to stdin of the remote process."""
    return bytes((_STDIN,)) + data


class RemoteCommand:
    """Demultiplexer of the messages of one command. Messages after its Status are ignored."""

    def __init__(self) -> None:
        self._status = bytearray()
        self._pieces = 0
        self._ended = False

    def feed(self, message: bytes) -> tuple[Event, ...]:
        """Process one message and return its events. Raises ProtocolError."""
        channel, payload = message[:1], message[1:]
        if self._ended or not payload:  # an empty payload only shows that the stream is open
            return ()
        match channel[0]:
            case 1:
                return (Stdout(payload),)
            case 2:
                return (Stderr(payload),)
            case 3:
                return self._feed_status(payload)
            case 255:  # the server half-closes a stream; the end comes with the Status
                return ()
            case other:
                raise ProtocolError(f"message on channel {other}")

    def end(self) -> None:
        """The connection was closed. Raises ProtocolError if a Status is incomplete."""
        if self._status and not self._ended:
            raise ProtocolError("the connection ended inside a Status")

    def _feed_status(self, payload: bytes) -> tuple[Event, ...]:
        self._status += payload
        self._pieces += 1
        if len(self._status) > _STATUS_LIMIT or self._pieces > _STATUS_PIECES:
            raise ProtocolError(f"Status of more than {_STATUS_LIMIT} bytes or {_STATUS_PIECES} pieces")
        try:
            status, _ = _JSON.raw_decode(self._status.decode(errors="replace").lstrip())
        except (ValueError, RecursionError):
            return ()  # incomplete; `end` reports it if the rest never arrives
        self._ended = True
        return (_event_of(status),)


def _event_of(status: object) -> Event:
    """The event for a `Status` object. Raises ProtocolError."""
    if not isinstance(status, dict):
        raise ProtocolError("the Status is not an object")
    if status.get("status") == "Success":
        return Exited(0)
    if status.get("status") != "Failure":
        raise ProtocolError("the Status is neither Success nor Failure")
    if status.get("reason") == "NonZeroExitCode":
        return Exited(_exit_code_of(status.get("details")))
    reason, message, code = status.get("reason"), status.get("message"), status.get("code")
    return Failed(
        reason if isinstance(reason, str) else "",
        message if isinstance(message, str) else "",
        code if isinstance(code, int) else 0,
    )


def _exit_code_of(details: object) -> int:
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode":
            text = cause.get("message")
            if isinstance(text, str) and _EXIT_CODE.fullmatch(text) and int(text) <= 255:
                return int(text)
    raise ProtocolError("a non-zero exit without an exit code")
