import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.processes import Process
from lab.shell import LabError, wait_until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def test_a_recorded_process_is_found_again(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process = Process.of(sleeper.pid)
    process.save(tmp_path / "deep/role.json")
    assert Process.load(tmp_path / "deep/role.json") == process


def test_a_reused_pid_is_never_signaled(sleeper: subprocess.Popen[bytes]) -> None:
    recycled = replace(Process.of(sleeper.pid), start_time=1)
    assert not recycled.alive()
    recycled.signal(signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        sleeper.wait(0.2)


def test_a_record_from_before_a_reboot_counts_as_not_running(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    replace(Process.of(sleeper.pid), boot_id="another boot").save(tmp_path / "role.json")
    assert Process.load(tmp_path / "role.json") is None


def test_stop_ends_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    Process.of(sleeper.pid).stop()
    assert sleeper.wait(1) == -signal.SIGTERM


def test_stop_kills_a_process_that_ignores_sigterm() -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        Process.of(child.pid).stop(timeout_s=0.3)
        assert child.wait(1) == -signal.SIGKILL


def test_a_zombie_process_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = Process.of(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not process.alive()


@pytest.mark.parametrize("content", ["", "{}", '{"pid": 1}', "[]", "null"])
def test_a_broken_record_counts_as_not_running(tmp_path: Path, content: str) -> None:
    (tmp_path / "role.json").write_text(content)
    assert Process.load(tmp_path / "role.json") is None


def test_a_process_that_ended_cannot_be_recorded() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    with pytest.raises(LabError, match="ended"):
        Process.of(child.pid)


def test_a_process_without_its_first_thread_still_runs() -> None:
    leave = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); "
    child = subprocess.Popen(
        [sys.executable, "-c", f"{leave}ctypes.CDLL(None).syscall(60, 0)"]
    )  # exit, of one thread
    try:
        process = Process.of(child.pid)
        wait_until("its first thread is gone", lambda: state(child.pid) == "Z", 10, 0.01)
        assert process.alive()
        child.kill()
        wait_until("it ends", lambda: not process.alive(), 10, 0.01)
    finally:
        child.kill()
        child.wait()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
