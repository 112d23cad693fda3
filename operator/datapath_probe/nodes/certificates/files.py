"""An identity in a mounted Secret, which is replaced while a process runs. Called by the CLI's `node-agent` and `run`.

The names of the files are those of Secrets of type `kubernetes.io/tls`, which cert-manager writes, too.
"""

from pathlib import Path

from .authority import Identity, Pair

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


class NoIdentityError(Exception):
    """The files are not there (yet)."""


class IdentityFiles:
    """Reads the identity from a directory. Two files may be replaced between two reads: kubelet swaps a symbolic link
    of the directory, so all are read through the link's target.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self) -> Identity:
        """The identity as it is now. Raises NoIdentityError."""
        directory = self._directory / "..data"
        directory = directory.resolve() if directory.exists() else self._directory
        try:
            certificate, key, authority = (
                (directory / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY)
            )
        except OSError as error:
            raise NoIdentityError(f"{error.filename}: {error.strerror}") from None
        if not (certificate and key and authority):
            raise NoIdentityError(f"{self._directory}: no certificate has been issued yet")
        return Identity(Pair(certificate, key), authority)
