"""Into a pod's network namespace without exec into the pod: the agent sees the host's named namespaces.

No object of Kubernetes or Cilium names a pod's namespace, so all of a node's are asked for their addresses, which is
one command and is remembered. Source: Cilium 1.16–1.20, chart `cilium-agent/daemonset.yaml` (volume `cilium-netns`).
"""

import json
import re
from collections.abc import Mapping

from ..evidence.question import Question
from ..evidence.reading import Answer
from .answers import Json, parser

_FOLDER = "/var/run/cilium/netns"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def find(node: str) -> Question:
    """The addresses in every namespace of the node; costs some milliseconds a pod."""
    show = ("nsenter", "--net={}", "ip", "-j", "-4", "addr", "show", "scope", "global")
    argv = ("find", _FOLDER, "-mindepth", "1", "-maxdepth", "1", "-type", "f", "-print", "-exec", *show, ";")
    return Question(node, argv, timeout_s=15.0, max_age_s=300.0)


@parser("find in /var/run/cilium/netns", exit_codes=(0, 1))  # 1: a namespace went away meanwhile
def parse(answer: Answer) -> Mapping[str, str]:
    """Name of the namespace by address. ValueError inside if the output is no list of names and addresses."""
    found: dict[str, str] = {}
    name = None
    for line in answer.stdout.decode().splitlines():
        if line.startswith(f"{_FOLDER}/"):
            name = line.removeprefix(f"{_FOLDER}/")
        elif line.strip() and name is not None:
            found |= {address: name for address in _addresses(line)}
    return found


def inside(node: str, namespace: str, *argv: str) -> Question:
    """A command in that namespace. ValueError if it is no name of one."""
    if not _NAME.fullmatch(namespace) or namespace.startswith("."):
        raise ValueError(f"{namespace!r} is no name of a network namespace")
    return Question(node, ("nsenter", f"--net={_FOLDER}/{namespace}", *argv))


def _addresses(line: str) -> list[str]:
    devices = Json(json.loads(line))
    return [
        address["local"].text() for device in devices if device["addr_info"] for address in device["addr_info"]
    ]
