"""Programs in the namespaces of a node's Cilium agent: its own bpftool, without the API server or kubectl between.

So a fault can be repaired whatever it has done to the cluster. Used by the injectors beside it.
"""

from lab.cluster import Lab

_ENTER = 'exec nsenter --target "$(pgrep -xo cilium-agent)" --mount --pid -- "$@"'


def in_agent(lab: Lab, node: str, *argv: str) -> str:
    """stdout. Raises LabError when the program fails, or no agent runs."""
    return lab.run(node, "sh", "-c", _ENTER, "sh", *argv).stdout
