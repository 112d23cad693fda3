"""Full maps: a hundred thousand entries for addresses outside the lab. In: a lab. Used by the scenarios."""

from collections.abc import Iterator
from contextlib import contextmanager

from faults.inject.agent import in_agent
from lab.cluster import Lab

ENTRIES = 100_000
_MAPS = "/sys/fs/bpf/tc/globals"
_BATCH = "/tmp/load-batch"  # in the agent's container

# From 10.128.0.0, a range without pods. The values are those of a pod on a node that does not exist, and of an expired
# connection.
_ADDRESS = "0a %02x %02x %02x"
_IPCACHE = (
    "cilium_ipcache_v2",
    f"40 00 00 00 00 00 00 01 {_ADDRESS}" + " 00" * 12,
    "b9 de 00 00 ac 1e 00 63" + " 00" * 15 + " 02",
)
_CONNTRACK = ("cilium_ct4_global", f"{_ADDRESS} 0a 80 00 01 00 50 9c a5 06 01", "00 " * 55 + "00")

_WRITE = r"""
command -v awk >/dev/null || exit 9
awk -v n="$1" -v verb="$2" -v map="$3" -v key="$4" -v value="$5" 'BEGIN {
  for (i = 0; i < n; i++) {
    k = sprintf(key, 128 + int(i / 65536), int(i / 256) % 256, i % 256)
    printf "map %s pinned %s key hex %s%s\n", verb, map, k, (verb == "update" ? " value hex " value : "")
  }
}' > "$0" && bpftool batch file "$0" > /dev/null; code=$?; rm -f "$0"; exit $code
"""


@contextmanager
def full(lab: Lab) -> Iterator[None]:
    """Add the entries to ipcache and conntrack of all nodes. Those in conntrack are left to the agents' garbage
    collection, which may remove them at any time.
    """
    try:
        _batch(lab, "update", _IPCACHE, _CONNTRACK)
        yield
    finally:
        _batch(lab, "delete", _IPCACHE)


def _batch(lab: Lab, verb: str, *maps: tuple[str, str, str]) -> None:
    for node in lab.nodes:
        for name, key, value in maps:
            argv = (str(ENTRIES), verb, f"{_MAPS}/{name}", key, value)
            in_agent(lab, node.name, "sh", "-c", _WRITE, _BATCH, *argv)
