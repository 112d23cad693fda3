"""Addresses as values."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from datapath_probe.addresses import IpAddress, IpFamily, address, family_of, parse_address, with_port


def test_an_address_is_of_a_family() -> None:
    assert (parse_address("10.0.0.1"), parse_address("FD00:0::1")) == (
        IPv4Address("10.0.0.1"),
        IPv6Address("fd00::1"),
    )
    assert family_of(IPv4Address("10.0.0.1")) is IpFamily.IPV4
    assert family_of(IPv6Address("fd00::1")) is IpFamily.IPV6


def test_octets_are_in_network_order() -> None:
    assert address(bytes([10, 0, 0, 1])) == IPv4Address("10.0.0.1")
    assert address(bytes(15) + b"\x01") == IPv6Address("::1")


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.1/32", "10.0.0.256", "deathstar", "-4", "fe80::1%eth0"]
)
def test_what_is_no_address_or_has_a_zone_is_refused(text: str) -> None:
    assert parse_address(text) is None
    with pytest.raises(ValueError, match=r"IP|address|zone"):
        address(text)


def test_equal_addresses_are_one_object() -> None:
    assert parse_address("10.0.0.1") is parse_address("10.0.0.1")


@pytest.mark.parametrize(
    ("ip", "text"),
    [
        (IPv4Address("10.0.0.1"), "10.0.0.1:80"),
        (IPv6Address("fd00::1"), "[fd00::1]:80"),
        ("a.svc", "a.svc:80"),
    ],
)
def test_an_address_of_ipv6_is_in_brackets_before_a_port(ip: IpAddress | str, text: str) -> None:
    assert with_port(ip, 80) == text
