"""`datapath-probe capture`: output, files and error messages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kubernetes.aio.client import Configuration

from datapath_probe.api.probe import Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.cli import capture as command
from datapath_probe.cli.main import main
from datapath_probe.collect.fair_slots import Slot
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.kube.cluster import Cluster
from datapath_probe.kube.writes.probes import Probes
from datapath_probe.plan.plan import CannotRun
from datapath_probe.runs.run_result import RunResult
from datapath_probe.sources.capture import pcap
from unit.control.harness import body
from unit.publish.samples import NOW, healthy, plan

PCAP = (Path(__file__).parents[2] / "data/captures/cilium-1.18.5/vxlan-node1.pcap").read_bytes()
CAPTURE = pcap.fact("node1", [IPv4Address("10.244.1.27")], 20001, 8472, 10)


class FakeCluster:
    """Synced immediately and healthy, unless a test changes that."""

    def __init__(self) -> None:
        self.runner = self
        self.unsynced: Mapping[str, str] = {}
        self.fallbacks = 0
        self.error: Exception | None = None
        self.ends = True
        self.stderr = b""

    async def wait_synced(self) -> None:
        if self.unsynced or self.error:
            await asyncio.Event().wait()

    async def serve(self) -> None:
        if self.error:
            raise self.error
        await asyncio.Event().wait()

    def forget_probe(self, uid: str) -> None:
        """Nothing is kept."""

    async def run(
        self, probe: Probe, capture: bool = False, fresh: bool = False, slot: Slot | None = None
    ) -> RunResult:
        if not self.ends:
            return RunResult(
                NOW, NOW + 1, (CannotRun(Reason.RUN_TIMEOUT, "the run did not end within 42 s"),)
            )
        assert capture
        evidence = Evidence({CAPTURE: (Answer(0, PCAP, self.stderr, NOW, 1.0),)})
        return RunResult(
            NOW, NOW + 1, (healthy(),), (Bundle(PathRun(plan(), Request(NOW, 20001, None), evidence)),)
        )


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster()

    @asynccontextmanager
    async def open_cluster(*_: object) -> AsyncIterator[Cluster]:
        yield made

    async def load_configuration(*_: object) -> Configuration:
        return Configuration()

    async def read(*_: object) -> Mapping[str, object]:
        return body()

    monkeypatch.setattr(command, "open_cluster", open_cluster)
    monkeypatch.setattr(command, "load_configuration", load_configuration)
    monkeypatch.setattr(Probes, "read", read)
    return made


def capture(*options: str) -> Result:
    return CliRunner().invoke(main, ("capture", "default/probe", *options))


def test_packets_are_shown_and_written_to_one_file_per_node(cluster: FakeCluster, tmp_path: Path) -> None:
    done = capture("-w", str(tmp_path / "landing"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "landing.node1.pcap").read_bytes() == PCAP
    assert f"wrote {tmp_path}/landing.node1.pcap" in done.stderr
    assert "SYN" in done.stdout


def test_without_the_option_no_file_is_written(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert capture().exit_code == 0
    assert list(tmp_path.iterdir()) == []


def not_listed(cluster: FakeCluster) -> None:
    cluster.unsynced = {"pods": "pods is forbidden"}


def not_served(cluster: FakeCluster) -> None:
    cluster.error = ValueError("odd")


def not_ended(cluster: FakeCluster) -> None:
    cluster.ends = False


@pytest.mark.parametrize(
    ("break_cluster", "message"),
    [
        (
            not_listed,
            "Error: the objects of the cluster were not listed within 0.05 s: pods: pods is forbidden\n",
        ),
        (not_served, "Error: the cluster can't be watched: ValueError('odd')\n"),
        (not_ended, "Error: the run did not end within 42 s\n"),
    ],
)
def test_a_failed_capture_is_reported_in_one_line(
    cluster: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
    break_cluster: Callable[[FakeCluster], None],
    message: str,
) -> None:
    break_cluster(cluster)
    monkeypatch.setattr(command, "SYNC_S", 0.05)
    done = capture()
    assert (done.exit_code, done.stderr) == (1, message)


def test_an_unwritable_file_is_reported_in_one_line(cluster: FakeCluster, tmp_path: Path) -> None:
    done = capture("-w", str(tmp_path / "missing" / "landing"))
    assert done.exit_code == 1
    assert (
        done.stderr
        == f"Error: can't write {tmp_path}/missing/landing.node1.pcap: No such file or directory\n"
    )


def test_a_file_is_for_its_owner_only_and_replaces_a_link(cluster: FakeCluster, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("keep me")
    for name in ("landing.node1.pcap", "landing.node1.pcap.part"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert capture("-w", str(tmp_path / "landing")).exit_code == 0
    file = tmp_path / "landing.node1.pcap"
    assert (tmp_path / "elsewhere").read_text() == "keep me"
    assert (file.is_symlink(), file.stat().st_mode & 0o777) == (False, 0o600)
    assert file.read_bytes() == PCAP


def test_an_interface_can_have_any_name(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not markup, and without effect on the terminal."""
    named = "if 2 [/x]\x9b31m\u202e\n"
    monkeypatch.setattr(command, "SYNC_S", 5.0)
    cluster.stderr = named.encode()
    done = capture()
    assert done.exit_code == 0, done.output
    assert "[/x]\\x9b31m" in done.stdout
    assert all(line.isprintable() for line in done.output.split("\n"))


def test_an_error_of_the_cluster_is_one_visible_line(cluster: FakeCluster) -> None:
    cluster.error = OSError("a\x1b[31m\u202e[/x]\nb")
    done = capture()
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr[:-1].isprintable()
