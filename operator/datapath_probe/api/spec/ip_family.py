"""The field `ipFamily` of the spec. Read by `plan.families`."""

from enum import StrEnum


class IpFamilyChoice(StrEnum):
    """The versions of IP that a probe requests its destination over."""

    ANY = "Any"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    BOTH = "Both"
