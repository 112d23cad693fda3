"""Routes, devices and uptime that the recorded lab does not have, in the output of iproute2 and procfs."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.reading import Absent, Unavailable
from datapath_probe.sources.iproute2 import links, uptime
from datapath_probe.sources.iproute2.links import Route
from unit.sources.golden import printed


@pytest.mark.parametrize(
    ("stderr", "absent"),
    [
        ("RTNETLINK answers: Network is unreachable\n", True),  # none, or one of type throw
        ("RTNETLINK answers: No route to host\n", True),  # type unreachable
        ("RTNETLINK answers: Invalid argument\n", True),  # type blackhole
        ("RTNETLINK answers: Permission denied\n", True),  # type prohibit
        ("RTNETLINK answers: Operation not supported\n", False),
        ("RTNETLINK answers: No buffer space available\n", False),
        ("nsenter: Network is unreachable\n", False),
        ("", False),
    ],
)
def test_only_the_kernels_error_means_that_there_is_no_route(stderr: str, absent: bool) -> None:
    result = links.parse_route(printed("", exit_code=2, stderr=stderr))
    assert isinstance(result, Absent if absent else Unavailable)


def test_a_multipath_route_has_several_next_hops_and_a_blackhole_none() -> None:
    output = (
        '[{"dst":"default","flags":[],"metrics":[{"mtu":1400}],"nexthops":['
        '{"gateway":"10.0.0.1","dev":"eth0","weight":1,"flags":[]},{"dev":"eth1","weight":1,"flags":[]}]},'
        '{"type":"blackhole","dst":"10.1.0.0/16","flags":[]}]'
    )
    assert links.parse_routes(printed(output)) == (
        Route("default", ip_address("10.0.0.1"), "eth0", None, 1400),
        Route("default", None, "eth1", None, 1400),
    )


def test_a_pod_without_routes_has_none() -> None:
    assert links.parse_routes(printed("[ ]\n")) == ()
    assert links.parse_routes(printed("")) == ()


@pytest.mark.parametrize(
    ("flags", "state", "up"),
    [
        ('"UP","LOWER_UP"', "UP", True),
        ('"UP","LOWER_UP"', "UNKNOWN", True),  # vxlan
        ('"UP","NO-CARRIER"', "DOWN", False),
        ('"UP"', "LOWERLAYERDOWN", False),  # its peer is down
        ("", "DOWN", False),
    ],
)
def test_a_device_is_up_if_both_its_flag_and_its_state_are(flags: str, state: str, up: bool) -> None:
    shown = f'[{{"ifindex":1,"ifname":"x","flags":[{flags}],"operstate":"{state}"}}]'
    link = links.parse_link(printed(shown))
    assert isinstance(link, links.Link)
    assert link.up is up


@pytest.mark.parametrize(
    "stdout", ["nan 1.0", "inf 1.0", "-1.0 1.0", "1e300 1.0", "1.0", "a b", "1.0 2.0 3.0"]
)
def test_an_invalid_uptime_is_unparsable(stdout: str) -> None:
    assert isinstance(uptime.parse(printed(stdout)), Unavailable)
