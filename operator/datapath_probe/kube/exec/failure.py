"""Why a command could not be run, or its result not be read: errors of the API server, the kubelet and the container
runtime as one of the project's reasons.

In: an HTTP status or a `Failed` event, with its message. Out: an `ExecError`, which `one_shot` and `agents` turn into
an `Unavailable`. Called by the modules of `kube.exec`.
"""

import re
from typing import Final

from ...evidence.errors import EvidenceError
from .protocol import Failed

# The kubelet and the runtimes return an Internal error with a text; the first match wins. Sources: Kubernetes 1.34
# `pkg/registry/core/pod/strategy.go`, `pkg/kubelet/server/server.go`; runc; crun.
_PROSE: Final = (
    (
        EvidenceError.NO_SUCH_EXECUTABLE,
        re.compile(
            r"executable file\b.*\bnot found"
            r"|exec: .*(?:no such file or directory|permission denied|exec format error|is a directory)"
        ),
    ),
    (EvidenceError.POD_NOT_FOUND, re.compile(r'\bpods? "[^"]*" not found|pod does not exist')),
    (
        EvidenceError.CONTAINER_NOT_FOUND,
        re.compile(
            r"container not found|container \S+ is not valid for pod|container name must be specified"
            r"|container is (?:not running|in CONTAINER_EXITED state)"
        ),
    ),
)
_HTTP: Final = {
    401: EvidenceError.EXEC_FORBIDDEN,
    403: EvidenceError.EXEC_FORBIDDEN,
    404: EvidenceError.POD_NOT_FOUND,
}
_MESSAGE_LIMIT: Final = 500
# Characters that are compared with the patterns, which look ahead from each place.
_READ_LIMIT: Final = 2048

NOT_RUN: Final = (126, 127)
"""Exit codes of shells for "not executable" and "not found"; some runtimes (CRI-O) report nothing else."""


class ExecError(Exception):
    """There is no answer. `message`: one sentence for display, without argv and stdin."""

    def __init__(self, reason: EvidenceError, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message[:_MESSAGE_LIMIT]


def refused(http_status: int, message: str) -> ExecError:
    """The API server refused the handshake with this status. `message`: that of its Status, or ""."""
    reason = _reason(http_status, message)
    return ExecError(reason, message or f"the API server refused the exec with HTTP status {http_status}")


def failed(event: Failed) -> ExecError:
    """The exec was accepted but failed."""
    return ExecError(_reason(event.code, event.message), event.message or event.reason or "exec failed")


def channel_lost(why: str) -> ExecError:
    """The connection was closed before the command ended."""
    return ExecError(EvidenceError.CHANNEL_LOST, why)


def timeout(what: str, timeout_s: float) -> ExecError:
    """`what` did not happen in time."""
    return ExecError(EvidenceError.TIMEOUT, f"{what} within {timeout_s:g} s")


def not_responding(node: str, error: ExecError) -> ExecError:
    """The agent of this node can't be asked anything, because of this timeout."""
    return ExecError(
        EvidenceError.AGENT_NOT_RESPONDING, f"the Cilium agent on {node} can't be asked: {error.message}"
    )


def _reason(code: int, message: str) -> EvidenceError:
    start = message[:_READ_LIMIT]
    for reason, pattern in _PROSE:
        if pattern.search(start):
            return reason
    return _HTTP.get(code, EvidenceError.EXEC_FAILED)
