"""The demultiplexer: the result does not depend on message boundaries; garbage raises one type of error."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.kube.exec.protocol import (
    CLOSE_STDIN,
    Event,
    Exited,
    Failed,
    ProtocolError,
    RemoteCommand,
    Stderr,
    Stdout,
    stdin_message,
)

SUCCESS = b'{"metadata":{},"status":"Success"}'
EXIT_28 = json.dumps(
    {
        "status": "Failure",
        "message": "command terminated with non-zero exit code: exit status 28",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "28"}]},
    }
).encode()
INTERNAL_ERROR = (
    '{"status":"Failure","message":"conteneur «x» arrêté","reason":"InternalError","code":500}'.encode()
)

Outcome = tuple[bytes, bytes, Event | None]


def outcome_of(messages: list[bytes]) -> Outcome:
    command = RemoteCommand()
    stdout, stderr, end = b"", b"", None
    for message in messages:
        for event in command.feed(message):
            match event:
                case Stdout(data):
                    stdout += data
                case Stderr(data):
                    stderr += data
                case _:
                    end = event
    command.end()
    return stdout, stderr, end


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (SUCCESS, Exited(0)),
        (EXIT_28, Exited(28)),
        (INTERNAL_ERROR, Failed("InternalError", "conteneur «x» arrêté", 500)),
        (b'{"status":"Failure"}', Failed("", "", 0)),
        (b'{"status":"Failure","reason":1,"message":[],"code":"x"}', Failed("", "", 0)),
    ],
)
def test_the_status_ends_the_command(status: bytes, event: Event) -> None:
    assert outcome_of([b"\1", b"\3" + status, b"\1too late"]) == (b"", b"", event)


@given(
    pieces=st.lists(st.tuples(st.sampled_from(b"\1\2"), st.binary(max_size=20)), max_size=10),
    status=st.sampled_from([SUCCESS, EXIT_28, INTERNAL_ERROR]),
    data=st.data(),
)
def test_message_boundaries_do_not_matter(
    pieces: list[tuple[int, bytes]], status: bytes, data: st.DataObject
) -> None:
    whole = [bytes((channel,)) + payload for channel, payload in (*pieces, (3, status))]
    cut: list[bytes] = []
    for message in whole:
        at = data.draw(st.integers(1, len(message)))
        cut += [message[:at], message[:1] + message[at:]]
    assert outcome_of(cut) == outcome_of(whole)
    assert outcome_of(
        [message[:1] + bytes((byte,)) for message in whole for byte in message[1:]]
    ) == outcome_of(whole)


@given(
    st.lists(
        st.one_of(st.binary(max_size=50), st.binary(max_size=50).map(lambda tail: b"\3" + tail)), max_size=8
    )
)
def test_garbage_raises_only_a_protocol_error(messages: list[bytes]) -> None:
    with suppress(ProtocolError):
        outcome_of(messages)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Failure", "ExitCode", "28"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "reason", "details", "causes", "message", "code"])
            | st.text(max_size=3),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"status": st.just("Failure"), "reason": st.just("NonZeroExitCode")}, optional={"details": JSON}
    )
    | JSON
)
def test_any_json_status_ends_the_command_or_is_a_protocol_error(status: object) -> None:
    try:
        _, _, end = outcome_of([b"\3" + json.dumps(status).encode()])
    except ProtocolError:
        return
    assert isinstance(end, Exited | Failed)


@pytest.mark.parametrize(
    "status",
    [
        b'{"status":"Failure","reason":"NonZeroExitCode"}',
        b'{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"256"}]}}',
        b'{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"-1"}]}}',
        b'{"status":"Perhaps"}',
        b'{"status":"Suc',
        b"[" * 30_000,
        b"x" * 40_000,
        b"{" + b" " * 40_000,
    ],
)
def test_a_broken_status_is_a_protocol_error(status: bytes) -> None:
    with pytest.raises(ProtocolError):
        outcome_of([b"\3" + status])


@pytest.mark.parametrize("message", [b"\0echo", b"\4{}", b"\7x"])
def test_a_message_on_a_client_channel_is_a_protocol_error(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        RemoteCommand().feed(message)


def test_empty_messages_are_ignored() -> None:
    assert outcome_of([b"", b"\1", b"\2", b"\3", b"\xff\1"]) == (b"", b"", None)


def test_stdin_is_sent_on_channel_0_and_closed_on_channel_255() -> None:
    assert stdin_message(b"{}") == b"\0{}"
    assert CLOSE_STDIN == b"\xff\0"
