"""A range of addresses as a parameter of a command. Used by `main`."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import click


class NetworkType(click.ParamType[IPv4Network | IPv6Network]):
    """A CIDR such as 10.0.0.0/8, or one address."""

    name = "cidr"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Network | IPv6Network:
        """The range. Fails if bits beyond the prefix are set, which is usually a mistake."""
        try:
            return ip_network(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


NETWORK = NetworkType()
