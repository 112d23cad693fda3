"""Backends that a request may or may not use, and objects that decide which there are. With healthy twins."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address

from datapath_probe.api.vocabulary import HopName
from e2e.api import Object
from faults.fault import At, Expected, Fault, broken, degraded, either, healthy
from faults.inject import objects
from faults.inject.dns import at_rest, second_coredns
from faults.inject.endpoint_slices import endpoint_slice, listed
from faults.inject.in_place import Injected, InPlace
from faults.inject.map_fill import conntrack_nearly_full
from faults.inject.maps import changed, deleted, endpoint_entry, ipcache_entry, patched
from faults.modes import TUNNELED
from faults.scene import OUTPOST, Scene, Target, service_path

LOOKUP, RESOLUTION = HopName.SERVICE_LOOKUP, HopName.NAME_RESOLUTION
_STALE_SLICE, _DNS = "EndpointSliceStale", "DNSPathBroken"
_UNUSED_IP = ip_address("172.30.0.99").packed
_TUNNEL = 4  # of an ipcache entry
_NOBODYS = "10.0.99.9"
_BEYOND = (
    Expected(
        "Broken",
        "LostOutsideCluster",
        segment=(HopName.CLUSTER_EXIT, HopName.DESTINATION_RESPONSE),
    ),
)
_KUBE_DNS = "/api/v1/namespaces/kube-system/services/kube-dns"


def _also_listed(scene: Scene, ip: str, pod: str | None = None) -> Injected:
    """A second endpoint of the Service of the far deathstar."""
    body = endpoint_slice(OUTPOST, ip, 80, pod)
    return listed(scene.api, body, scene.slots_are(OUTPOST, 2))


def _unused(scene: Scene) -> str:
    """An address of the ship's node that no pod has."""
    return str(ip_address(scene.ship.ip.rpartition(".")[0] + ".251"))


@contextmanager
def _unreachable_name_server(scene: Scene) -> Iterator[InPlace | None]:
    """The ship's node sends queries to one of two name servers to a node that does not exist."""
    with second_coredns(scene.api) as ip:
        entry = ipcache_entry(scene.lab, scene.source, ip)
        with changed(entry, patched(_TUNNEL, _UNUSED_IP)) as in_place:
            yield in_place


@contextmanager
def _second_name_server(scene: Scene) -> Iterator[None]:
    with second_coredns(scene.api):
        yield


def _relabeled(scene: Scene, path: str, metadata: Object, back: Object, applied: InPlace) -> Injected:
    return objects.changed(scene.api, path, {"metadata": metadata}, {"metadata": back}, applied)


def _left_out(scene: Scene, kind: str, name: str, value: str) -> Injected:
    """The Service of the far deathstar with a label or an annotation that excludes it."""
    frontend = scene.slot(OUTPOST, 0)
    wanted, back = {kind: {name: value}}, {kind: {name: None}}
    return _relabeled(scene, service_path(OUTPOST), wanted, back, lambda: frontend.find() is None)


@contextmanager
def _dns_left_out(scene: Scene) -> Iterator[InPlace | None]:
    label = "service.kubernetes.io/service-proxy-name"
    frontend = scene.name_server_slot()
    wanted, back = {"labels": {label: "another"}}, {"labels": {label: None}}
    with _relabeled(scene, _KUBE_DNS, wanted, back, lambda: frontend.find() is None) as in_place:
        at_rest()
        yield in_place
    at_rest()


FAULTS = (
    Fault(
        "slice-lists-an-address-of-no-node",
        lambda s: _also_listed(s, _NOBODYS),
        # in the chart's default pool, which covers private networks: it may be a host outside the cluster
        healthy() + _BEYOND,
        Target.SERVICE,
    ),
    Fault(
        "slice-lists-an-address-of-the-ships-node",
        lambda s: _also_listed(s, _unused(s)),
        either(LOOKUP, _STALE_SLICE),
        Target.SERVICE,
    ),
    Fault(
        "slice-lists-a-pod-that-is-gone",
        lambda s: _also_listed(s, "203.0.113.77", "deathstar-9"),
        either(LOOKUP, _STALE_SLICE),
        Target.SERVICE,
    ),
    Fault("service-to-an-address-outside", lambda _: nullcontext(), healthy(), Target.ABROAD),
    Fault(
        "one-of-two-backends-behind-a-wrong-tunnel-endpoint",
        lambda s: changed(ipcache_entry(s.lab, s.source, s.far.ip), patched(_TUNNEL, _UNUSED_IP)),
        either(HopName.IPCACHE_LOOKUP, "WrongTunnelEndpoint"),
        Target.BOTH,
        modes=TUNNELED,
    ),
    Fault(
        "one-of-two-backends-without-its-endpoint-entry",
        lambda s: deleted(endpoint_entry(s.lab, s.destination, s.far.ip)),
        either(HopName.ENDPOINT_LOOKUP, "EndpointEntryMissing", At.DESTINATION),
        Target.BOTH,
        modes=TUNNELED,
    ),
    Fault(
        "one-of-two-name-servers-unreachable",
        _unreachable_name_server,
        either(RESOLUTION, _DNS),
        Target.SERVICE,
        modes=TUNNELED,
    ),
    Fault("two-name-servers", _second_name_server, healthy(), Target.SERVICE),
    Fault(
        "service-of-another-proxy",
        lambda s: _left_out(s, "labels", "service.kubernetes.io/service-proxy-name", "another"),
        broken(LOOKUP, "ServiceNotServed"),
        Target.SERVICE,
    ),
    Fault(
        "service-labeled-headless",
        lambda s: _left_out(s, "labels", "service.kubernetes.io/headless", ""),
        broken(LOOKUP, "ServiceNotServed"),
        Target.SERVICE,
    ),
    Fault(
        "service-exposed-as-another-type",
        lambda s: _left_out(s, "annotations", "service.cilium.io/type", "LoadBalancer"),
        broken(LOOKUP, "ServiceNotServed"),
        Target.SERVICE,
    ),
    Fault(
        "service-exposed-on-other-nodes",
        lambda s: _left_out(s, "annotations", "service.cilium.io/node", "beefy"),
        broken(LOOKUP, "ServiceNotServed"),
        Target.SERVICE,
    ),
    Fault(
        "conntrack-nearly-full",
        lambda s: conntrack_nearly_full(s.lab, s.source),
        degraded(HopName.EGRESS_POLICY, "MapNearlyFull"),
        Target.SERVICE,
    ),
    Fault("name-server-of-another-proxy", _dns_left_out, broken(RESOLUTION, _DNS), Target.SERVICE),
)
