"""The worker process of `diagnosis_worker`: reads calls from stdin, and writes each result to stdout.

In: pickles of a function and its argument. Out: the length of the pickled result, and the result; first a length of 0,
when the process is ready. Ends at the end of stdin, so also if the operator dies.
"""

import os
import pickle
import resource
import struct
import sys
from typing import BinaryIO

from ..diagnose import engine  # noqa: F401  # so that no call has to wait for it

LENGTH = struct.Struct("!Q")
# Lists of empty objects take 30 times the memory of their JSON. The operator has 512 MiB (manifests/base).
MEMORY_BYTES = 256 * 1024 * 1024
_NICENESS = 5  # the operator's event loop comes first


def main() -> None:
    """Serve calls until the end of stdin."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    serve(sys.stdin.buffer, sys.stdout.buffer)


def serve(calls: BinaryIO, results: BinaryIO) -> None:
    """Carry out each call. An exception is a result too, except for lack of memory, which ends the process."""
    _write(results, b"")
    while True:
        try:
            function, argument = pickle.load(calls)  # noqa: S301  # from the operator itself
        except EOFError:
            return
        try:
            result = function(argument)
        except Exception as error:
            if isinstance(error, MemoryError):
                return
            result = error
        _write(results, pickle.dumps(result))
        del function, argument, result


def _write(results: BinaryIO, data: bytes) -> None:
    results.write(LENGTH.pack(len(data)) + data)
    results.flush()


if __name__ == "__main__":
    main()
