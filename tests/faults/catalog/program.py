"""Faults of programs at pods: detached, or missing tail calls."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, either
from faults.inject import foreign_programs, programs
from faults.inject.in_place import Injected
from faults.inject.maps import (
    host_tail_call,
    policy_program,
    program_missing,
    program_replaced,
    tail_call,
)
from faults.modes import WITH_ENDPOINT_ROUTES, WITHOUT_ENDPOINT_ROUTES, Mode
from faults.scene import Scene, Target

FROM_CONTAINER, TO_CONTAINER = "cil_from_container", "cil_to_container"
IPV4_TAIL_CALL, IPV4_CT_INGRESS_TAIL_CALL, IPV4_FROM_HOST_TAIL_CALL = 7, 28, 23
IPV6_TAIL_CALL = 10
MISSING = "ProgramMissing"


def _detached(scene: Scene, pod: Pod, program: str = FROM_CONTAINER) -> Injected:
    return programs.detached_from_pod(scene.lab, pod, program)


def _no_policy_program(scene: Scene, pod: Pod) -> Injected:
    return program_missing(policy_program(scene.lab, pod.node, pod.endpoint))


def _tail_call_missing(scene: Scene, pod: Pod, index: int) -> Injected:
    return program_missing(tail_call(scene.lab, pod.node, pod.endpoint, index))


def _tail_call(pod: Pod) -> int:
    """That of all packets from pods."""
    return IPV6_TAIL_CALL if ":" in pod.ip else IPV4_TAIL_CALL


def _of_another(scene: Scene, pod: Pod, other: Pod) -> Injected:
    entry = policy_program(scene.lab, pod.node, pod.endpoint)
    return program_replaced(entry, "id", str(policy_program(scene.lab, pod.node, other.endpoint).program()))


SOURCE, REPLY = HopName.SOURCE_PROGRAM, HopName.REPLY_PROGRAM

FAULTS = (
    Fault("source-program-detached", lambda s: _detached(s, s.ship), either(SOURCE, MISSING)),
    Fault(
        "source-program-detached-same-node",
        lambda s: _detached(s, s.ship),
        either(SOURCE, MISSING),
        Target.NEAR,
    ),
    Fault(
        "source-program-detached-service",
        lambda s: _detached(s, s.ship),
        either(SOURCE, MISSING),
        Target.SERVICE,
    ),
    Fault(
        "source-tail-call-missing",
        lambda s: _tail_call_missing(s, s.ship, _tail_call(s.ship)),
        broken(SOURCE, MISSING),
    ),
    Fault("reply-program-detached", lambda s: _detached(s, s.far), either(REPLY, MISSING, At.DESTINATION)),
    Fault(
        "reply-program-detached-service",
        lambda s: _detached(s, s.far),
        either(REPLY, MISSING, At.DESTINATION),
        Target.SERVICE,
    ),
    Fault(
        "reply-tail-call-missing",
        lambda s: _tail_call_missing(s, s.far, _tail_call(s.far)),
        broken(REPLY, MISSING, At.DESTINATION),
    ),
    Fault(
        "destination-policy-program-missing",
        lambda s: _no_policy_program(s, s.far),
        broken(HopName.DESTINATION_PROGRAM, MISSING, At.DESTINATION),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "destination-policy-program-of-another-make",
        lambda s: foreign_programs.in_place_of(s.lab, policy_program(s.lab, s.destination, s.far.endpoint)),
        broken(HopName.DESTINATION_PROGRAM, "ForeignProgram", At.DESTINATION),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "destination-policy-program-of-another-pod",
        lambda s: _of_another(s, s.far, s.on_far_node),
        either(HopName.DESTINATION_PROGRAM, "ForeignProgram", At.DESTINATION),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "source-policy-program-of-another-make",
        lambda s: foreign_programs.in_place_of(s.lab, policy_program(s.lab, s.source, s.ship.endpoint)),
        broken(HopName.REPLY_DELIVERY, "ForeignProgram"),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "source-policy-program-missing",
        lambda s: _no_policy_program(s, s.ship),
        broken(HopName.REPLY_DELIVERY, MISSING),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    # with endpoint routes it is the policy program
    Fault(
        "destination-program-detached",
        lambda s: _detached(s, s.far, TO_CONTAINER),
        either(HopName.DESTINATION_PROGRAM, MISSING, At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "source-delivery-program-detached",
        lambda s: _detached(s, s.ship, TO_CONTAINER),
        either(HopName.REPLY_DELIVERY, MISSING),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    # natively routed packets reach the pod through the program of `cilium_host`
    Fault(
        "host-tail-call-missing-at-the-destination",
        lambda s: program_missing(host_tail_call(s.lab, s.destination, IPV4_FROM_HOST_TAIL_CALL)),
        broken(HopName.DESTINATION_PROGRAM, MISSING, At.DESTINATION),
        modes=frozenset({Mode.NATIVE}),
    ),
    Fault(
        "destination-tail-call-missing",
        lambda s: _tail_call_missing(s, s.far, IPV4_CT_INGRESS_TAIL_CALL),
        broken(HopName.DESTINATION_PROGRAM, MISSING, At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "source-delivery-tail-call-missing",
        lambda s: _tail_call_missing(s, s.ship, IPV4_CT_INGRESS_TAIL_CALL),
        broken(HopName.REPLY_DELIVERY, MISSING),
        modes=WITH_ENDPOINT_ROUTES,
    ),
)
