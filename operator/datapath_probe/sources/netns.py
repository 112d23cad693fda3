"""The network namespaces of pods, without exec into the pods: the agent sees the named namespaces of the host.

No Kubernetes object, and no Cilium object before 1.19, has the name of a pod's namespace, so the addresses in all
namespaces of a node are listed. This is one command, and its answer is cached for long. Called by `diagnose`.
Source: Cilium 1.16–1.20, chart `cilium-agent/daemonset.yaml` (volume `cilium-netns`); GNU find, util-linux.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..addresses import IpAddress, address
from ..evidence.fact import Fact
from ..evidence.fact_kinds import FactKind
from ..evidence.parameters import is_namespace_name
from ..evidence.reading import Answer, Unavailable
from .parsing import Json, failed, parser

FOLDER = "/var/run/cilium/netns"
"""The directory in the agent's container, with one file per namespace."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device in a named namespace. `peer_ifindex`: index of the other end of a pair, in its own namespace."""

    namespace: str
    name: str
    peer_ifindex: int | None
    mac: str
    addresses: tuple[IpAddress, ...]


def find(node: str) -> Fact:
    """The addresses in every namespace of the node. Takes some milliseconds per pod."""
    return Fact.of(FactKind.NAMESPACE_ADDRESSES, node)


def survey(node: str) -> Fact:
    """Every device in every namespace of the node with its addresses, as they are now. For a pod that `find` does not
    return, or returns twice.
    """
    return Fact.of(FactKind.NAMESPACE_DEVICES, node)


@parser("find in /var/run/cilium/netns", exit_codes=(0, 1))  # 1: a namespace was deleted meanwhile
def parse(answer: Answer) -> Mapping[IpAddress, tuple[str, ...]] | Unavailable:
    """Names of the namespaces with each address. ValueError inside if the output is not a list of names and
    addresses.

    A namespace that could not be entered (it was just deleted) is left out; if none could, there is no answer.
    """
    found: dict[IpAddress, dict[str, None]] = {}
    for name, device in _devices(answer):
        for assigned in device["addr_info"] or ():
            if not assigned["local"]:  # one of another scope is shown empty
                continue
            found.setdefault(address(assigned["local"].text()), {})[name] = None
    if not found and answer.stderr:
        return failed(answer, "find in /var/run/cilium/netns")
    return {ip: tuple(names) for ip, names in found.items()}


@parser("find in /var/run/cilium/netns", exit_codes=(0, 1))
def parse_survey(answer: Answer) -> tuple[Device, ...] | Unavailable:
    """All devices. Namespaces that could not be entered are left out here, too."""
    found = tuple(
        Device(
            namespace=name,
            name=device["ifname"].text(),
            peer_ifindex=device["link_index"].unsigned(32) if device["link_index"] else None,
            mac=device["address"].text("").lower(),
            addresses=tuple(address(assigned["local"].text()) for assigned in device["addr_info"] or ()),
        )
        for name, device in _devices(answer)
    )
    return found if found or not answer.stderr else failed(answer, "find in /var/run/cilium/netns")


def _devices(answer: Answer) -> Iterator[tuple[str, Json]]:
    """The JSON of each device, with the name of its namespace."""
    name = None
    for line in answer.stdout.decode().splitlines():
        if line.startswith(f"{FOLDER}/"):
            name = line.removeprefix(f"{FOLDER}/")
        elif name is None:
            raise ValueError(f"{line!r} belongs to no namespace")
        elif is_namespace_name(name):  # there may be others with unusual names
            yield from ((name, device) for device in Json.parse(line))
