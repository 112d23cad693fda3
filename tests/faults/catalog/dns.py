"""Faults of name resolution in the ship."""

from collections.abc import Iterator
from contextlib import contextmanager

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import NAMESPACE
from faults.fault import Fault, broken, degraded, healthy
from faults.inject.dns import coredns_gone, file_changed
from faults.inject.in_place import Injected, InPlace
from faults.inject.maps import changed
from faults.inject.policies import Direction, dns_through_proxy, enforced, policy
from faults.scene import BOTH, OUTPOST, Scene, Target

_UNUSED_PORT = 9
RESOLUTION, UNRESOLVED = HopName.NAME_RESOLUTION, "DNSLookupFailed"


def _resolves_to(scene: Scene, ip: str) -> Injected:
    line = f"$a {ip} {OUTPOST}.{NAMESPACE}.svc"
    return file_changed(scene.galaxy, scene.ship, "/etc/hosts", line)


def _dns_denied(scene: Scene) -> Injected:
    """The ship may reach deathstars only."""
    rules = [{"toEndpoints": [{"matchLabels": {"class": "deathstar"}}]}]
    spec = {"endpointSelector": {"matchLabels": {"class": "xwing"}}, "egress": rules}
    other = 1  # the host, as an example of all others
    return enforced(
        scene.lab, scene.api, policy("CiliumNetworkPolicy", spec), scene.ship, Direction.EGRESS, other
    )


@contextmanager
def _dns_through_proxy(scene: Scene) -> Iterator[None]:
    with dns_through_proxy(scene.lab, scene.api, scene.ship, {"class": "xwing"}):
        yield


@contextmanager
def _dns_through_a_wrong_port(scene: Scene) -> Iterator[InPlace]:
    """The map redirects queries to a port where no proxy listens."""
    with (
        dns_through_proxy(scene.lab, scene.api, scene.ship, {"class": "xwing"}) as entry,
        changed(entry, lambda value: _UNUSED_PORT.to_bytes(2, "big") + value[2:]) as in_place,
    ):
        yield in_place


FAULTS = (
    Fault(
        "coredns-gone",
        lambda s: coredns_gone(s.api),
        broken(RESOLUTION, "DNSNoReadyEndpoints"),
        Target.SERVICE,
    ),
    Fault(
        "name-does-not-exist",
        lambda s: file_changed(s.galaxy, s.ship, "/etc/resolv.conf", "/^search/d"),
        broken(RESOLUTION, "DNSNoAddress")
        + broken(RESOLUTION, UNRESOLVED),  # the second if resolution is slow
        Target.SERVICE,
    ),
    Fault(
        "name-server-wrong",
        lambda s: file_changed(
            s.galaxy, s.ship, "/etc/resolv.conf", "s/^nameserver.*/nameserver 10.96.0.77/"
        ),
        broken(RESOLUTION, UNRESOLVED),
        Target.SERVICE,
    ),
    Fault(
        "name-resolves-to-another-service",
        lambda s: _resolves_to(s, s.service_ip(BOTH)),
        degraded(RESOLUTION, "DNSUnexpectedAnswer"),
        Target.SERVICE,
    ),
    Fault(
        "name-resolves-to-nobody",
        lambda s: _resolves_to(s, "203.0.113.9"),
        broken(RESOLUTION, "DNSUnexpectedAnswer"),
        Target.SERVICE,
    ),
    Fault(
        "name-resolves-to-the-backend-itself",
        lambda s: _resolves_to(s, s.far.ip),
        degraded(RESOLUTION, "DNSUnexpectedAnswer"),
        Target.SERVICE,
    ),
    Fault(
        "dns-proxy-at-another-port",
        _dns_through_a_wrong_port,
        broken(RESOLUTION, "DNSPathBroken"),
        Target.SERVICE,
    ),
    Fault("dns-through-the-proxy", _dns_through_proxy, healthy(), Target.SERVICE),
    Fault("dns-egress-denied", _dns_denied, broken(RESOLUTION, "DNSDenied"), Target.SERVICE),
)
