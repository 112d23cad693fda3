"""A host outside the cluster: behind the router of the nodes, with a web server and a name server.

The fabric is the router. It knows no pod addresses, so replies arrive only if the request was masqueraded. The DNS of
the cluster forwards names of other domains to this host. Called by `lifecycle`, end-to-end tests and the fault bench.
"""

import sys
from pathlib import Path

from lab import cgroups, gobuild, network
from lab.paths import HERE, STATE
from lab.processes import Process, start_detached
from lab.settings import OUTSIDE_IP, OUTSIDE_ROUTER_IP
from lab.shell import LabError, run, wait_until

HOST_NAME = "www.outside.test"
PORT = 80
TTL_S = 5
_RECORD = STATE / "outside.json"
_LOGS = STATE / "log"
_COREFILE = f""".:53 {{
    errors
    hosts {{
        {OUTSIDE_IP} {HOST_NAME}
        ttl {TTL_S}
    }}
}}
"""


def start(init_program: Path) -> None:
    """Start the host and its servers. The fabric must run."""
    holder = network.start_namespace(init_program, "outside")
    holder.save(_RECORD)
    network.connect(holder, "outside", f"{OUTSIDE_IP}/24", f"{OUTSIDE_ROUTER_IP}/24")
    corefile = STATE / "outside.Corefile"
    corefile.write_text(_COREFILE)
    programs = {
        "outside-http": (sys.executable, str(HERE / "images/app/server.py"), str(PORT)),
        "outside-dns": (str(gobuild.COREDNS.build() / "coredns"), "-conf", str(corefile)),
    }
    for name, argv in programs.items():
        start_detached(cgroups.joining("fabric", *_inside(holder), *argv), _LOGS / f"{name}.log")
    wait_until(f"{HOST_NAME} responds (see {_LOGS})", _responds, 10, 0.1)


def enter(*argv: str) -> list[str]:
    """The command line that runs `argv` in the network of the host."""
    holder = Process.load(_RECORD)
    if holder is None:
        raise LabError("the host outside the cluster is not running")
    return [*_inside(holder), *argv]


def _responds() -> bool:
    listening = run(*enter("ss", "-Hltun")).stdout
    return f":{PORT} " in listening and ":53 " in listening


def _inside(holder: Process) -> tuple[str, ...]:
    return ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
