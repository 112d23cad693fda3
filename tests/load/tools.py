"""The agent's own tools, made bad: slow, hanging, cut short, talkative, endless; and shells that are killed.

In: a lab and a node. Leaving a context puts the tools back. What stands in for bpftool is a script of the same name in
the agent's container, so that everything between it and the operator is the real thing. Used by the scenarios.
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
_KILLS_EVERY_S = 0.3

SLOW = f'sleep 0.5; exec {_REAL} "$@"'
HANGING = "sleep 300"
CUT_SHORT = f'{_REAL} "$@" | head -c 25'
TALKATIVE = (
    f'echo "libbpf: kernel BTF is missing at {{/sys}}"; {_REAL} "$@"; code=$?; echo "WARN: [1]"; exit $code'
)
ENDLESS = "exec yes '{\"id\":1}'"


@contextmanager
def bpftool(lab: Lab, script: str) -> Iterator[None]:
    """On all nodes, bpftool is this script; `bpftool.real` is what it was."""
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
    """In all agents, the operator's shells are killed again and again."""
    over = threading.Event()
    kill = "for p in $(pgrep -x sh); do [ $p = $$ ] || kill -9 $p; done"

    def go_on() -> None:
        while not over.wait(_KILLS_EVERY_S):
            for node in lab.nodes:
                with suppress(LabError):
                    in_agent(lab, node.name, "sh", "-c", kill)

    thread = threading.Thread(target=go_on, name="shells")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def agents_stopped(lab: Lab) -> Iterator[None]:
    """The agents' processes stand still: whatever asks them waits. Programs and maps work on."""
    with ExitStack() as stopped:
        for node in lab.nodes:
            stopped.enter_context(agent_hangs(lab, node.name))
        yield
