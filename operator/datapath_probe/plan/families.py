"""Which versions of IP a probe's paths use, and the addresses of a source and a destination of one version.

In: the spec, and both ends. Out: the versions, one path for each; the ends with the addresses of one version. Called by
`pairs` and `resolve`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from ..addresses import IpAddress, IpFamily, family_of
from ..api.reasons import Reason
from ..api.spec.ip_family import IpFamilyChoice
from .plan import CannotRun, PodFacts, PodTarget, ServiceTarget, Target

Families = tuple[IpFamily, ...]
"""The versions for one path: the first that both ends have is used."""

ANY: Final[Families] = (IpFamily.IPV4, IpFamily.IPV6)
_PATHS: Final[Mapping[IpFamilyChoice, tuple[Families, ...]]] = {
    IpFamilyChoice.ANY: (ANY,),
    IpFamilyChoice.IPV4: ((IpFamily.IPV4,),),
    IpFamilyChoice.IPV6: ((IpFamily.IPV6,),),
    IpFamilyChoice.BOTH: ((IpFamily.IPV4,), (IpFamily.IPV6,)),
}


def families_of_paths(choice: IpFamilyChoice) -> tuple[Families, ...]:
    """For each path between a source and a destination, the versions that it may use, in order of preference."""
    return _PATHS[choice]


def ends_of(
    source: PodFacts, target: Target, family: IpFamily, allowed: Families
) -> tuple[PodFacts, Target] | CannotRun:
    """The source with the address that it sends from first, and the target with the backends that it can reach."""
    reached = [backend.ip for backend in target.backends]
    if isinstance(target, ServiceTarget):
        reached = [target.frontend.ip]
    if any(family not in map(family_of, ips) for ips in (source.pod.ips, reached) if ips):
        version = f"{family} address" if len(allowed) == 1 else "IP version"
        message = (
            f"{_texts(reached) or target.display} and {_texts(source.pod.ips)} have no {version} in common"
        )
        return CannotRun(Reason.NO_COMMON_IP_VERSION, message, destination=target.display)
    if not isinstance(target, PodTarget):
        target = replace(target, backends=tuple(b for b in target.backends if family_of(b.ip) is family))
    return source.over(family), target


def _texts(ips: Iterable[IpAddress]) -> str:
    return ", ".join(map(str, ips))
