"""Paths over both versions of IP, in each mode of a dual-stack lab: healthy. Part of `make e2e-ipv6`."""

import pytest

from e2e.galaxy import Galaxy
from e2e.probes import Probes
from e2e.switch import switch
from e2e.test_ipv6 import assert_both_healthy, paths
from lab.settings import Ip, Mode, Settings

MODES = {mode.value: Settings(mode=mode, ip=Ip.DUAL) for mode in Mode}
MODES["1.19-vxlan"] = Settings(cilium="1.19.5", ip=Ip.DUAL)

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("mode", MODES)
def test_both_versions_are_healthy_in_every_mode(galaxy: Galaxy, probes: Probes, mode: str) -> None:
    switch(galaxy, MODES[mode])
    for where, spec in paths(galaxy).items():
        assert_both_healthy(probes, f"both-{where}", spec)
