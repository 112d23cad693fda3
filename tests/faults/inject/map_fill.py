"""A map that is filled with entries of connections that do not exist. Used by the catalog."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.waiting import until
from faults.inject.agent import in_agent
from lab.cluster import Lab

_MAP = "/sys/fs/bpf/tc/globals/cilium_ct4_global"
_METRIC = ("cilium-dbg", "metrics", "list", "-p", "cilium_bpf_map_pressure.*ct4_global", "-o", "json")
_FILE = "/tmp/faults-map-fill"
_SHARE = 0.93
_COUNTED_S = 90.0  # the agent counts entries every 30 s
# Keys: addresses 198.18.0.0/15, ports, TCP. Values: a lifetime that does not end.
_LINES = r"""
for my $n (0 .. $ARGV[1] - 1) {
    my @key = (10, 0, 0, 1, 198, 18 + ($n >> 16), $n >> 8 & 255, $n & 255, 0, 80, 78, 32, 6, 0);
    my @value = ((0) x 32, 255, 255, 255, 127, (0) x 20);
    print "map $ARGV[0] pinned $ARGV[2] key hex ", join(" ", map { sprintf "%02x", $_ } @key);
    print " value hex ", join(" ", map { sprintf "%02x", $_ } @value) if $ARGV[0] eq "update";
    print "\n";
}
"""


@contextmanager
def conntrack_nearly_full(lab: Lab, node: str) -> Iterator[None]:
    """A conntrack map with few free entries, which the node's agent has counted."""
    shown = json.loads(in_agent(lab, node, "bpftool", "-j", "map", "show", "pinned", _MAP))
    count = int(shown["max_entries"] * _SHARE)
    try:
        _batch(lab, node, "update", count)
        until("the agent has counted the entries", lambda: _pressure(lab, node) > 0.9, _COUNTED_S)
        yield
    finally:
        _batch(lab, node, "delete", count)
        until("the agent has counted again", lambda: _pressure(lab, node) < 0.9, _COUNTED_S)


def _batch(lab: Lab, node: str, verb: str, count: int) -> None:
    """Entries that are gone already are no error."""
    lines = f"perl -e '{_LINES}' {verb} {count} {_MAP} > {_FILE}"
    in_agent(lab, node, "sh", "-c", f"{lines}; bpftool batch file {_FILE} > /dev/null 2>&1; rm {_FILE}")


def _pressure(lab: Lab, node: str) -> float:
    metrics = json.loads(in_agent(lab, node, *_METRIC))
    return max((float(metric["value"]) for metric in metrics), default=0.0)
