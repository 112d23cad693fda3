"""Which addresses outside the pods' network a probe may request. Called by `restrictions` and `runs.request`.

By default, neither the addresses that mean the source itself, its node or its link (where clouds serve credentials),
nor those of nodes and API servers: a probe would give its author more than a pod of the namespace is meant to reach.
Nodes and API servers are legitimate endpoints of Services.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from ..addresses import IpAddress
from .objects import Inventory, ServicePort

IpNetwork = IPv4Network | IPv6Network
_API_SERVER = "default", "kubernetes"
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")  # RFC 1122; Linux takes 0.0.0.0 for the host itself
# Where clouds serve credentials or settings of a node at addresses that are not link-local: AWS and Google Cloud over
# IPv6, Alibaba Cloud, Azure.
_METADATA_SERVERS: Final = frozenset(
    map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"))
)
_LINK_LOCAL_METADATA: Final = ip_address("169.254.169.254")
# Google Cloud, AWS
_METADATA_NAMES: Final = frozenset(("metadata.google.internal", "instance-data.ec2.internal"))
# curl resolves names of this domain itself
_LOCALHOST, _LOOPBACK = ".localhost", tuple(map(ip_address, ("127.0.0.1", "::1")))


@dataclass(frozen=True, slots=True)
class AddressRestrictions:
    """`allowed`: ranges that are allowed even if they are forbidden by default. `denied`: ranges that are always
    forbidden.
    """

    allowed: tuple[IpNetwork, ...] = ()
    denied: tuple[IpNetwork, ...] = ()

    def why_forbidden(self, ip: IpAddress, inventory: Inventory) -> str:
        """Why a probe may not request this address, as a sentence; "" if it may."""
        meant = _meant(ip)
        return self._why_denied(ip) or self._unless_allowed(ip, _kind(meant) or _owner(meant, inventory))

    def why_no_endpoint(self, ip: IpAddress) -> str:
        """Why a probe may not request a Service with this endpoint, or a pod of the host network with this address."""
        return self._why_denied(ip) or self._unless_allowed(ip, _kind(_meant(ip)))

    def _why_denied(self, ip: IpAddress) -> str:
        denied = next((network for network in self.denied if _is_in(ip, network)), None)
        return f"{ip} is in {denied}, which the operator denies (--deny-addresses)" if denied else ""

    def _unless_allowed(self, ip: IpAddress, kind: str) -> str:
        if not kind or any(_is_in(ip, network) for network in self.allowed):
            return ""
        return (
            f"{ip} is {kind}, which a probe may not request unless the operator allows it (--allow-addresses)"
        )


def known_addresses(host: str, inventory: Inventory) -> tuple[IpAddress, ...]:
    """The addresses of a name that are known without resolving it: of the source itself, of metadata, of nodes."""
    if host.endswith(_LOCALHOST):
        return _LOOPBACK
    if host in _METADATA_NAMES:
        return (_LINK_LOCAL_METADATA,)
    node = inventory.node(host)
    return node.internal_ips if node else ()


def _kind(ip: IpAddress) -> str:
    """What the address means wherever it is requested, if that is forbidden by default."""
    kinds = {
        "a loopback address": ip.is_loopback,
        "a link-local address": ip.is_link_local,
        "a multicast address": ip.is_multicast,
        "an address where a cloud serves metadata of its machines": ip in _METADATA_SERVERS,
        "no address of a host": ip.is_unspecified or ip.is_reserved or ip in _THIS_NETWORK,
    }
    return next((kind for kind, holds in kinds.items() if holds), "")


def _owner(ip: IpAddress, inventory: Inventory) -> str:
    """What has the address in this cluster, if that is forbidden by default."""
    node = inventory.node_with(ip)
    if node:
        return f"an address of node {node.name}"
    return "an address of the API server" if _is_api_server(ip, inventory) else ""


def _is_api_server(ip: IpAddress, inventory: Inventory) -> bool:
    service = inventory.service(*_API_SERVER)
    ports: tuple[ServicePort, ...] = service.ports if service else ()
    return any(
        endpoint.ip == ip for port in ports for endpoint in inventory.slice_endpoints(*_API_SERVER, port)
    )


def _is_in(ip: IpAddress, network: IpNetwork) -> bool:
    return ip in network or _meant(ip) in _stated(network)


def _meant(ip: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 address stands for: mapped, as the kernel takes it (`::ffff:127.0.0.1`), or with
    the prefix that a NAT64 gateway (`64:ff9b::127.0.0.1`) or a 6to4 relay (`2002:7f00:1::`) translates.
    """
    if isinstance(ip, IPv6Address):
        return IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def _stated(network: IpNetwork) -> IpNetwork:
    """The range of IPv4 addresses that a range of mapped ones (`::ffff:10.0.0.0/104`) means."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        start = IPv4Address(network.network_address.packed[-4:])
        return IPv4Network((start, network.prefixlen - _MAPPED.prefixlen))
    return network


BY_DEFAULT = AddressRestrictions()
