"""Policies of every kind that deny the request, and policy maps that differ from the policies."""

from datapath_probe.api.vocabulary import HopName
from e2e.api import Object
from faults.fault import At, Fault, broken
from faults.inject.in_place import Injected
from faults.inject.maps import deleted
from faults.inject.policies import Direction, allow_all_entry, enforced, policy
from faults.scene import Scene, Target

SHIPS, STARS = {"matchLabels": {"class": "xwing"}}, {"matchLabels": {"class": "deathstar"}}
NO_POD = {"matchLabels": {"class": "none"}}
CNP, CCNP, NETPOL = "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy"


def _ingress(scene: Scene, kind: str, spec: Object) -> Injected:
    denying = policy(kind, spec)
    return enforced(scene.lab, scene.api, denying, scene.far, Direction.INGRESS, scene.ship.identity)


def _egress(scene: Scene, kind: str, spec: Object) -> Injected:
    denying = policy(kind, spec)
    return enforced(scene.lab, scene.api, denying, scene.ship, Direction.EGRESS, scene.far.identity)


INGRESS, EGRESS, DENIED = HopName.INGRESS_POLICY, HopName.EGRESS_POLICY, "PolicyDenied"
MISMATCH = "PolicyMapMismatch"
FROM_THE_HOST: Object = {"fromEntities": ["host"]}  # readiness probes
DENY_SHIPS: Object = {
    "endpointSelector": STARS,
    "ingress": [{}, FROM_THE_HOST],
    "ingressDeny": [{"fromEndpoints": [SHIPS]}],
}

FAULTS = (
    Fault(
        "ingress-deny",
        lambda s: _ingress(s, CNP, DENY_SHIPS),
        broken(INGRESS, DENIED, At.DESTINATION),
    ),
    Fault(
        "ingress-default-deny",
        lambda s: _ingress(
            s, CNP, {"endpointSelector": STARS, "ingress": [{"fromEndpoints": [NO_POD]}, FROM_THE_HOST]}
        ),
        broken(INGRESS, DENIED, At.DESTINATION),
        Target.SERVICE,
    ),
    Fault(
        "ingress-deny-clusterwide",
        lambda s: _ingress(s, CCNP, {"endpointSelector": STARS, "ingressDeny": [{"fromEndpoints": [SHIPS]}]}),
        broken(INGRESS, DENIED, At.DESTINATION),
    ),
    Fault(
        "ingress-network-policy",
        lambda s: _ingress(s, NETPOL, {"podSelector": STARS, "policyTypes": ["Ingress"]}),
        broken(INGRESS, DENIED, At.DESTINATION),
    ),
    Fault(
        "ingress-deny-same-node",
        lambda s: _ingress(s, CNP, DENY_SHIPS),
        broken(INGRESS, DENIED),
        Target.NEAR,
    ),
    Fault(
        "egress-deny",
        lambda s: _egress(s, CNP, {"endpointSelector": SHIPS, "egressDeny": [{"toEndpoints": [STARS]}]}),
        broken(EGRESS, DENIED),
    ),
    Fault(
        "egress-deny-clusterwide",
        lambda s: _egress(s, CCNP, {"endpointSelector": SHIPS, "egressDeny": [{"toEndpoints": [STARS]}]}),
        broken(EGRESS, DENIED),
    ),
    Fault(
        "egress-default-deny-but-for-dns",
        lambda s: _egress(
            s,
            CNP,
            {
                "endpointSelector": SHIPS,
                "egress": [
                    {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}]}
                ],
            },
        ),
        broken(EGRESS, DENIED),
        Target.SERVICE,
    ),
    Fault(
        "policy-map-entry-missing-source",
        lambda s: deleted(allow_all_entry(s.lab, s.ship, Direction.EGRESS)),
        broken(EGRESS, MISMATCH),
    ),
    Fault(
        "policy-map-entry-missing-destination",
        lambda s: deleted(allow_all_entry(s.lab, s.far, Direction.INGRESS)),
        broken(INGRESS, MISMATCH, At.DESTINATION),
    ),
)
