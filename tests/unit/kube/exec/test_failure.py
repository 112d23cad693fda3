"""Error messages of Kubernetes and container runtimes for a failed exec, and the reasons derived from them."""

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.kube.exec.failure import failed, refused
from datapath_probe.kube.exec.protocol import Failed

START = "error executing command in container: failed to exec in container: failed to start exec"
RUNC = "OCI runtime exec failed: exec failed: unable to start container process"


@pytest.mark.parametrize(
    ("http_status", "message", "reason"),
    [
        (
            403,
            'pods "xwing" is forbidden: User "u" cannot create resource "pods/exec" in API group ""',
            EvidenceError.EXEC_FORBIDDEN,
        ),
        (401, "Unauthorized", EvidenceError.EXEC_FORBIDDEN),
        (403, "", EvidenceError.EXEC_FORBIDDEN),
        (404, 'pods "xwing" not found', EvidenceError.POD_NOT_FOUND),
        (400, "container nope is not valid for pod xwing", EvidenceError.CONTAINER_NOT_FOUND),
        (400, "pod xwing does not have a host assigned", EvidenceError.EXEC_FAILED),
        (
            500,
            "error dialing backend: dial tcp 172.30.0.12:10250: connect: connection refused",
            EvidenceError.EXEC_FAILED,
        ),
        (503, "", EvidenceError.EXEC_FAILED),
    ],
)
def test_a_rejected_handshake_has_a_reason(http_status: int, message: str, reason: EvidenceError) -> None:
    error = refused(http_status, message)
    assert error.reason is reason
    assert error.message == message or str(http_status) in error.message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            f'{START} "f0": {RUNC}: exec: "curl": executable file not found in $PATH: unknown',
            EvidenceError.NO_SUCH_EXECUTABLE,
        ),
        (
            f'{START} "f0": {RUNC}: exec: "/x": stat /x: no such file or directory: unknown',
            EvidenceError.NO_SUCH_EXECUTABLE,
        ),
        (
            f'{START} "f0": {RUNC}: exec: "/etc/passwd": permission denied: unknown',
            EvidenceError.NO_SUCH_EXECUTABLE,
        ),
        (
            "crun: executable file `curl` not found in $PATH: No such file or directory",
            EvidenceError.NO_SUCH_EXECUTABLE,
        ),
        (
            'Internal error occurred: unable to upgrade connection: container not found ("x")',
            EvidenceError.CONTAINER_NOT_FOUND,
        ),
        (
            "failed to exec in container: container is in CONTAINER_EXITED state",
            EvidenceError.CONTAINER_NOT_FOUND,
        ),
        ("unable to upgrade connection: pod does not exist", EvidenceError.POD_NOT_FOUND),
        ("error dialing backend: EOF", EvidenceError.EXEC_FAILED),
        ("", EvidenceError.EXEC_FAILED),
    ],
)
def test_a_failed_exec_has_a_reason(message: str, reason: EvidenceError) -> None:
    error = failed(Failed("InternalError", message, 500))
    assert error.reason is reason
    assert error.message == (message or "InternalError")


def test_a_long_message_is_truncated() -> None:
    assert len(refused(500, "x" * 10_000).message) < 1000
