"""Runs programs in the namespaces of a node's Cilium agent, without the API server or kubectl.

So a fault can be repaired whatever its effect on the cluster. Used by the other injectors.
"""

from lab.cluster import Lab

_ENTER = 'exec nsenter --target "$(pgrep -xo cilium-agent)" --mount --pid -- "$@"'


def in_agent(lab: Lab, node: str, *argv: str) -> str:
    """Return stdout. Raises LabError if the program fails or no agent runs."""
    return lab.run(node, "sh", "-c", _ENTER, "sh", *argv).stdout
