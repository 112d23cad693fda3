"""A real kube-apiserver with its etcd on free loopback ports, for tests of behavior that only the API server decides.

There are no controllers and no nodes. Its programs come from KUBEBUILDER_ASSETS, from the lab's cache (which `make
lab-up` fills) or from PATH; without them the tests are skipped.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from programs import find_program

_TOKEN = "integration-tests"  # noqa: S105 (a token of a server that only lives for the tests)
_WAIT_S = 45
# What service accounts ask for, without bodies.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running API server. `kubeconfig` is that of an administrator; `kubectl` is the path of the program."""

    kubeconfig: Path
    kubectl: Path
    etcd_url: str
    argv: tuple[str | Path, ...]
    _process: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start the server; it is not ready yet."""
        program, *flags = self.argv
        self._process.enter_context(_process(self.kubeconfig.parent, Path(program), *flags))

    def kill(self) -> None:
        """Kill the server; etcd keeps running."""
        self._process.close()

    def wait_ready(self) -> None:
        """Wait until the server is ready. Raises TimeoutError."""
        self.wait_for("get", "--raw=/readyz")

    def client(self) -> client.ApiClient:
        """A client with the administrator's credentials."""
        api: client.ApiClient = config.new_client_from_config(str(self.kubeconfig))
        return api

    def audited(self, user: str) -> list[dict[str, Any]]:
        """The requests that this service account has sent so far, from the audit log."""
        lines = self.kubeconfig.with_name("audit.log").read_text().splitlines()
        events = (json.loads(line) for line in lines)
        return [event for event in events if event["user"]["username"] == user]

    def run_kubectl(
        self, *argv: str | Path, stdin: str | None = None, timeout_s: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl until it ends; it may fail."""
        # kubectl's default cache is keyed by the port, which is reused
        cache = self.kubeconfig.with_name("discovery")
        command = [self.kubectl, "--kubeconfig", self.kubeconfig, "--cache-dir", cache, *argv]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def wait_for(self, *argv: str) -> None:
        """Run kubectl until it succeeds. Raises TimeoutError."""
        deadline = time.monotonic() + _WAIT_S
        while (done := self.run_kubectl(*argv)).returncode != 0:
            if time.monotonic() > deadline:
                raise TimeoutError(done.stderr)
            time.sleep(0.2)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API server of this test session."""
    try:
        with running(tmp_path_factory.mktemp("apiserver")) as server:
            yield server
    except MissingProgramError as error:
        pytest.skip(str(error))


class MissingProgramError(Exception):
    """A program of the API server is not on this machine."""


@contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """An API server that keeps its data in this folder. Raises MissingProgramError."""
    programs = {name: find_program(name) for name in ("etcd", "kube-apiserver", "kubectl")}
    if missing := [name for name, path in programs.items() if path is None]:
        raise MissingProgramError(
            f"needs {', '.join(missing)}: run `make lab-up` once, or set KUBEBUILDER_ASSETS"
        )
    etcd, server, kubectl = (path for path in programs.values() if path)
    with ExitStack() as processes:
        yield _started(etcd, server, kubectl, folder, processes)


def _started(etcd: Path, server: Path, kubectl: Path, folder: Path, processes: ExitStack) -> ApiServer:
    etcd_url, etcd_peer_url, port = _loopback(_free_port()), _loopback(_free_port()), _free_port()
    kubeconfig = _write_credentials(folder, port)
    (folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
    etcd_flags = (
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls={etcd_peer_url}",
        f"--initial-advertise-peer-urls={etcd_peer_url}",
        f"--initial-cluster=default={etcd_peer_url}",
        "--unsafe-no-fsync",
    )
    server_flags = (
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        f"--audit-policy-file={folder / 'audit.yaml'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--disable-admission-plugins=ServiceAccount",  # no controller creates service accounts here
    )
    processes.enter_context(_process(folder, etcd, *etcd_flags))
    api = ApiServer(kubeconfig, kubectl, etcd_url, (server, *server_flags))
    processes.callback(api.kill)
    api.start()
    api.wait_ready()
    return api


def _write_credentials(folder: Path, port: int) -> Path:
    """Write the token and the keys that the API server needs; returns the kubeconfig."""
    (folder / "tokens.csv").write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
    subprocess.run(
        ["openssl", "genrsa", "-out", folder / "service-accounts.key", "2048"],
        capture_output=True,
        check=True,
    )
    certificate = folder / "certificates/apiserver.crt"  # self-signed by the API server
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificate)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
        "current-context": "tests",
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(content))
    return kubeconfig


@contextmanager
def _process(folder: Path, program: Path, *flags: str | Path) -> Iterator[None]:
    """A program that ends with the context at the latest; its log is next to its data."""
    with (folder / f"{program.name}.log").open("ab") as log:
        process = subprocess.Popen([program, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _loopback(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
