"""An exception of this program as missing evidence: it affects one hop or one answer, and nothing else.

The text of the exception is left out, because it may contain values of a request.
"""

from pathlib import PurePath
from traceback import extract_tb

from .errors import EvidenceError
from .reading import Unavailable


def internal_error(what: str, error: Exception, at: float = 0.0) -> Unavailable:
    """ "the check of ipam failed: KeyError in checks/ipam.py, line 62"."""
    frames = extract_tb(error.__traceback__)
    where = (
        f" in {'/'.join(PurePath(frames[-1].filename).parts[-2:])}, line {frames[-1].lineno}"
        if frames
        else ""
    )
    return Unavailable(EvidenceError.INTERNAL_ERROR, f"{what} failed: {type(error).__name__}{where}", at)
