"""The bytes that the answers of one run may have together. Called by `collector`."""

from ..evidence.errors import EvidenceError
from ..evidence.reading import Answer, Reading, Unavailable
from ..evidence.size import size_of

RUN_LIMIT_BYTES = 8 * 1024 * 1024


class AnswerBudget:
    """Counts each answer once, however many paths and facts share it."""

    def __init__(self, limit_bytes: int = RUN_LIMIT_BYTES) -> None:
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._counted: dict[int, Answer] = {}  # by identity; holds the answers, so that none is reused

    def admitted(self, reading: Reading) -> Reading:
        """The reading; unavailable if the run has no room left for it."""
        if not isinstance(reading, Answer) or id(reading) in self._counted:
            return reading
        size = size_of(reading)
        if size > self._left_bytes:
            message = f"the answers of this run exceed {self._limit_bytes} bytes"
            return Unavailable(EvidenceError.TOO_LARGE, message, reading.at)
        self._left_bytes -= size
        self._counted[id(reading)] = reading
        return reading
