"""Files with evidence: only their owner may read them. Called by `control.evidence_store` and `cli.capture`."""

import os
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Write the file atomically. A link in its place is replaced, not followed. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)  # of an earlier process that was killed
    try:
        with open(part, "xb", opener=_open_private) as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    """`flags` include O_EXCL: nothing that another user has put there is opened."""
    return os.open(path, flags, mode=0o600)
