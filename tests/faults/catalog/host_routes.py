"""Routes and rules of Cilium that something else has removed from a node, for sources in the host's network."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken, either, healthy
from faults.inject import devices
from faults.modes import TUNNELED, Mode
from faults.scene import Target

MISSING, OWN_MISSING = "NodeRouteMissing", "EndpointRouteMissing"
NATIVE = frozenset({Mode.NATIVE})
PER_ENDPOINT = frozenset({Mode.ENDPOINT_ROUTES})


FAULTS = (
    Fault(
        "host-has-no-route-to-the-pods-of-another-node",
        lambda s: devices.without_route(s.lab, s.source, s.pod_cidr(s.destination)),
        broken(HopName.NODE_ROUTING, MISSING),
        Target.FROM_HOST_TO_FAR,
    ),
    Fault(
        "host-sends-what-is-for-a-pod-past-cilium",
        lambda s: devices.route(
            s.lab, s.source, f"{s.far.ip}/32", "via", s.node_ip(s.destination), "dev", "eth0"
        ),
        either(HopName.NODE_ROUTING, MISSING),
        Target.FROM_HOST_TO_FAR,
        modes=TUNNELED,
    ),
    Fault(
        "host-has-no-route-to-its-own-pods",
        lambda s: devices.without_route(s.lab, s.source, s.pod_cidr(s.source)),
        broken(HopName.ENDPOINT_LOOKUP, OWN_MISSING),
        Target.FROM_HOST_TO_NEAR,
        modes=frozenset(Mode) - PER_ENDPOINT,
    ),
    Fault(
        "destination-node-has-no-route-to-its-own-pods",
        lambda s: devices.without_route(s.lab, s.destination, s.pod_cidr(s.destination)),
        broken(HopName.ENDPOINT_LOOKUP, OWN_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "pod-has-no-rule-for-its-own-addresses",
        lambda s: devices.without_local_rule(s.lab, s.far),
        broken(HopName.DESTINATION_INTERFACE, "RoutingRuleMissing", At.DESTINATION),
    ),
    Fault(
        "healthy-without-a-route-that-only-hosts-use",
        lambda s: devices.without_route(s.lab, s.source, s.pod_cidr(s.destination)),
        healthy(),
        modes=TUNNELED,
    ),
)
