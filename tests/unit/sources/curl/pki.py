"""Certificates for servers on loopback, made by openssl: a CA, another CA, and what the first has signed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = "DNS:localhost,DNS:named.test,IP:127.0.0.1"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_CA = """[ca]
default_ca = test
[test]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = {names}
[many]
subjectAltName = {names},{many}
"""
MANY = ",".join(f"DNS:host-{number}.many.names.example.test" for number in range(1200))


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        text = self.certificate.read_text()
        return text[text.index("-----BEGIN") :]


@dataclass(frozen=True, slots=True)
class Pki:
    """A CA in a directory of its own."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Pki":
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01")
        (folder / "ca.cnf").write_text(_CA.format(names=NAMES, many=MANY))
        return cls(folder)

    def authority(self, name: str) -> Certificate:
        """A new CA, which can be a server, too."""
        names = ("-addext", f"subjectAltName={NAMES}")
        files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
        self._openssl("req", "-x509", *_KEY, *files, *names, *_subject(name))
        return self._made(name)

    def signed(
        self, name: str, ca: Certificate, begin: str, end: str, extensions: str = "names"
    ) -> Certificate:
        """A certificate for `NAMES`, valid from `begin` to `end` (YYYYMMDD). `extensions`: names or many."""
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", *_subject(name))
        issuer = ("-cert", str(ca.certificate), "-keyfile", str(ca.key))
        valid = ("-startdate", f"{begin}000000Z", "-enddate", f"{end}000000Z")
        request = ("-in", f"{name}.csr", "-out", f"{name}.crt")
        self._openssl(
            "ca", "-batch", "-config", "ca.cnf", "-extensions", extensions, *issuer, *valid, *request
        )
        return self._made(name)

    def _made(self, name: str) -> Certificate:
        return Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def _openssl(self, *words: str) -> None:
        subprocess.run(("openssl", *words), cwd=self.folder, check=True, capture_output=True)


def _subject(name: str) -> tuple[str, str]:
    return "-subj", f"/CN={name}"
