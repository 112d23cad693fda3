"""Every hop has a check."""

from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.checks.registry import REGISTRY


def test_every_hop_has_a_check() -> None:
    assert list(REGISTRY.checks) == list(HopName)


def test_queries_are_not_judged_by_the_packets_of_the_request() -> None:
    assert not REGISTRY.of_queries & {HopName.NAME_RESOLUTION, HopName.DESTINATION_RESPONSE}
    assert REGISTRY.of_kubelets < REGISTRY.of_queries
