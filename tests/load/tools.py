"""Faulty tools in the agent: slow, hanging, truncated, verbose, endless; and killed shells.

In: a lab. Leaving a context restores the tools. bpftool is replaced by a script of the same name in the agent's
container, so that everything between it and the operator is real. Used by the scenarios.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from faults.inject.agent import in_agent
from faults.inject.nodes import agent_hangs
from lab.cluster import Lab
from lab.shell import LabError

_BPFTOOL = "/usr/sbin/bpftool"
_REAL = f"{_BPFTOOL}.real"
_KILL_INTERVAL_S = 0.3

SLOW = f'sleep 0.5; exec {_REAL} "$@"'
HANGING = "sleep 300"
TRUNCATED = f'{_REAL} "$@" | head -c 25'
VERBOSE = (
    f'echo "libbpf: kernel BTF is missing at {{/sys}}"; {_REAL} "$@"; code=$?; echo "WARN: [1]"; exit $code'
)
ENDLESS = "exec yes '{\"id\":1}'"


@contextmanager
def bpftool(lab: Lab, script: str) -> Iterator[None]:
    """Replace bpftool on all nodes by this script; `bpftool.real` is the original."""
    nodes = [node.name for node in lab.nodes]
    for node in nodes:
        write = (
            f'mv {_BPFTOOL} {_REAL} && printf "#!/bin/sh\\n%s\\n" "$0" > {_BPFTOOL} && chmod +x {_BPFTOOL}'
        )
        in_agent(lab, node, "sh", "-c", write, script)
    try:
        yield
    finally:
        for node in nodes:
            in_agent(lab, node, "mv", "-f", _REAL, _BPFTOOL)


@contextmanager
def shells_killed(lab: Lab) -> Iterator[None]:
    """Kill the operator's shells in all agents repeatedly."""
    stop = threading.Event()
    kill = "for p in $(pgrep -x sh); do [ $p = $$ ] || kill -9 $p; done"

    def kill_repeatedly() -> None:
        while not stop.wait(_KILL_INTERVAL_S):
            for node in lab.nodes:
                with suppress(LabError):
                    in_agent(lab, node.name, "sh", "-c", kill)

    thread = threading.Thread(target=kill_repeatedly, name="shells")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def agents_stopped(lab: Lab) -> Iterator[None]:
    """Stop the agents' processes: their clients wait. Programs and maps keep working."""
    with ExitStack() as stopped:
        for node in lab.nodes:
            stopped.enter_context(agent_hangs(lab, node.name))
        yield
