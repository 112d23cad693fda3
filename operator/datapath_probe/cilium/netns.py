"""Into a pod's network namespace without exec into the pod: the agent sees the host's named namespaces.

No object of Kubernetes, and none of Cilium before 1.19, names a pod's namespace, so all of a node's are asked
for their addresses; that is one command, and its answer is kept for long.
Source: Cilium 1.16–1.20, chart `cilium-agent/daemonset.yaml` (volume `cilium-netns`); GNU find, util-linux.
"""

import re
from collections.abc import Iterator, Mapping

from ..evidence.question import LONG_S, Question
from ..evidence.reading import Answer, Unavailable
from .answers import Json, failed, parser

_FOLDER = "/var/run/cilium/netns"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def find(node: str) -> Question:
    """The addresses in every namespace of the node; costs some milliseconds a pod."""
    show = ("nsenter", "--net={}", "ip", "-j", "-4", "addr", "show", "scope", "global")
    argv = ("find", _FOLDER, "-mindepth", "1", "-maxdepth", "1", "-type", "f", "-print", "-exec", *show, ";")
    return Question(node, argv, timeout_s=LONG_S, max_age_s=300.0)


@parser("find in /var/run/cilium/netns", exit_codes=(0, 1))  # 1: a namespace went away meanwhile
def parse(answer: Answer) -> Mapping[str, str] | Unavailable:
    """Name of the namespace by IPv4 address; ValueError inside if it is no list of names and addresses.

    A namespace that could not be entered (it has just gone) is left out; if none could, there is no answer.
    """
    found: dict[str, str] = {}
    name = None
    for line in answer.stdout.decode().splitlines():
        if line.startswith(f"{_FOLDER}/"):
            name = line.removeprefix(f"{_FOLDER}/")
        elif name is None:
            raise ValueError(f"{line!r} belongs to no namespace")
        elif _NAME.fullmatch(name):  # people may have made others
            found |= dict.fromkeys(_addresses(line), name)
    return found if found or not answer.stderr else failed(answer, "find in /var/run/cilium/netns")


def inside(node: str, namespace: str, *argv: str) -> Question:
    """A command in that namespace. ValueError if it is no name of one."""
    if not _NAME.fullmatch(namespace):
        raise ValueError(f"{namespace!r} is no name of a network namespace")
    return Question(node, ("nsenter", f"--net={_FOLDER}/{namespace}", *argv))


def _addresses(line: str) -> Iterator[str]:
    for device in Json.parse(line):
        for address in device["addr_info"] or ():
            yield address["local"].text()
