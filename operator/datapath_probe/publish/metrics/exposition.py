"""Metric families → parts of a scrape, rendered by prometheus_client. Called by `metrics`. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Encoder = Callable[[Collector], bytes]

_END = b"# EOF\n"  # of OpenMetrics


def encoder(accept: str) -> tuple[Encoder, str]:
    """What renders a scrape, and its content type, for this value of the header Accept.

    Parameters are not passed on: they choose a version or a way to escape names, and no name here needs to be escaped.
    So there are two results only.
    """
    return choose_encoder(re.sub(r";[^,]*", "", accept))


def header(encode: Encoder, family: Metric) -> bytes:
    """The lines of a family that has no samples: its help text and type."""
    return encode(_One(family)).removesuffix(_END)


def sample_lines(family: Metric) -> bytes:
    """The samples of a family, which are the same in both formats."""
    _help, _type, lines = generate_latest(_One(family)).split(b"\n", 2)
    return lines


@dataclass(frozen=True, slots=True)
class _One(Collector):
    """A registry of one family."""

    family: Metric

    def collect(self) -> Iterator[Metric]:
        yield self.family
