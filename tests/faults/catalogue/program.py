"""Programs at the pods: detached, or with holes where they call each other."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, either
from faults.inject import programs
from faults.inject.in_place import Injected
from faults.inject.maps import policy_program, program_missing, tail_call
from faults.scene import Scene, Target

FROM_CONTAINER = "cil_from_container"
IPV4_TAIL_CALL, IPV4_CONT_TAIL_CALL = 7, 0x1A
MISSING = "ProgramMissing"


def _detached(scene: Scene, pod: Pod) -> Injected:
    return programs.detached_from_pod(scene.lab, pod, FROM_CONTAINER)


def _no_policy_program(scene: Scene, pod: Pod) -> Injected:
    return program_missing(policy_program(scene.lab, pod.node, pod.endpoint))


def _hole(scene: Scene, pod: Pod, index: int) -> Injected:
    return program_missing(tail_call(scene.lab, pod.node, pod.endpoint, index))


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
    Fault("source-tail-call-missing", lambda s: _hole(s, s.ship, IPV4_TAIL_CALL), broken(SOURCE, MISSING)),
    Fault("reply-program-detached", lambda s: _detached(s, s.far), either(REPLY, MISSING, At.DESTINATION)),
    Fault(
        "reply-program-detached-service",
        lambda s: _detached(s, s.far),
        either(REPLY, MISSING, At.DESTINATION),
        Target.SERVICE,
    ),
    Fault(
        "reply-tail-call-missing",
        lambda s: _hole(s, s.far, IPV4_TAIL_CALL),
        broken(REPLY, MISSING, At.DESTINATION),
    ),
    Fault(
        "destination-policy-program-missing",
        lambda s: _no_policy_program(s, s.far),
        broken(HopName.DESTINATION_PROGRAM, MISSING, At.DESTINATION),
    ),
    Fault(
        "source-policy-program-missing",
        lambda s: _no_policy_program(s, s.ship),
        broken(HopName.REPLY_DELIVERY, MISSING),
    ),
)
