"""Into a pod's network namespace without exec into the pod: the agent sees the host's named namespaces.

No object of Kubernetes, and none of Cilium before 1.19, names a pod's namespace, so all of a node's are asked
for their addresses; that is one command, and its answer is kept for long.
Source: Cilium 1.16–1.20, chart `cilium-agent/daemonset.yaml` (volume `cilium-netns`); GNU find, util-linux.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..evidence.fact import Fact
from ..evidence.fact_kinds import FactKind
from ..evidence.parameters import is_namespace_name
from ..evidence.reading import Answer, Unavailable
from .parsing import Json, failed, parser

FOLDER = "/var/run/cilium/netns"
"""Where the agent sees them, one file each."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device in a named namespace. `peer_ifindex`: of a pair, the other end's, in its own namespace."""

    namespace: str
    name: str
    peer_ifindex: int | None
    mac: str
    addresses: tuple[str, ...]


def find(node: str) -> Fact:
    """The addresses in every namespace of the node; costs some milliseconds a pod."""
    return Fact.of(FactKind.NAMESPACE_ADDRESSES, node)


def survey(node: str) -> Fact:
    """Every device in every namespace of the node, and its addresses, as they are now. For a pod that `find` does not
    tell of, or of which it tells twice.
    """
    return Fact.of(FactKind.NAMESPACE_DEVICES, node)


@parser("find in /var/run/cilium/netns", exit_codes=(0, 1))  # 1: a namespace went away meanwhile
def parse(answer: Answer) -> Mapping[str, tuple[str, ...]] | Unavailable:
    """Names of the namespaces that have it by IPv4 address; ValueError inside if it is no list of names and addresses.

    A namespace that could not be entered (it has just gone) is left out; if none could, there is no answer.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, device in _devices(answer):
        for address in device["addr_info"] or ():
            ip = address["local"].text()
            found[ip] = tuple(dict.fromkeys((*found.get(ip, ()), name)))
    return found if found or not answer.stderr else failed(answer, "find in /var/run/cilium/netns")


@parser("find in /var/run/cilium/netns", exit_codes=(0, 1))
def parse_survey(answer: Answer) -> tuple[Device, ...] | Unavailable:
    """All devices, with the same exceptions."""
    found = tuple(
        Device(
            namespace=name,
            name=device["ifname"].text(),
            peer_ifindex=device["link_index"].integer() if device["link_index"] else None,
            mac=device["address"].text("").lower(),
            addresses=tuple(address["local"].text() for address in device["addr_info"] or ()),
        )
        for name, device in _devices(answer)
    )
    return found if found or not answer.stderr else failed(answer, "find in /var/run/cilium/netns")


def _devices(answer: Answer) -> Iterator[tuple[str, Json]]:
    """What was shown of each device, with the name of its namespace."""
    name = None
    for line in answer.stdout.decode().splitlines():
        if line.startswith(f"{FOLDER}/"):
            name = line.removeprefix(f"{FOLDER}/")
        elif name is None:
            raise ValueError(f"{line!r} belongs to no namespace")
        elif is_namespace_name(name):  # people may have made others
            yield from ((name, device) for device in Json.parse(line))
