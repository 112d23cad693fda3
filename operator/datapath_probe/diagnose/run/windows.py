"""For how long after a change the datapath may lag behind the objects. A value handed in with the run, so that a test
need not wait until the defaults have passed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds. Within a window a failing run proves nothing; beyond it, what still differs is a fault."""

    # A watch that is cut is re-established within seconds; beyond that, objects may have changed long ago.
    trusted_view_s: float = 10.0
    # An application that has just been started may not listen yet, and its address may not be on all nodes.
    pod_starting_s: float = 10.0
    # Ready endpoints are in the maps of all nodes within a second, on busy nodes a few.
    endpoints_spreading_s: float = 10.0
    # A pod that was created is pulled, started and given an address within this, or something is wrong with it.
    pod_coming_s: float = 60.0
    # An agent compiles and loads the programs of its endpoints after it was started.
    agent_starting_s: float = 30.0
    # Beyond this an agent or a node that is not ready is down.
    not_ready_s: float = 120.0
    # Agents write their endpoints' states every 10 s, so for a moment a CiliumEndpoint may be out of date; beyond this
    # its endpoint is stuck in that state, or somebody else has written it.
    regenerating_s: float = 30.0
    # Pods leave a node within seconds of its cordon if it is drained.
    draining_s: float = 30.0
    # An agent that has not reloaded an endpoint's programs by now will not do so by itself.
    programs_reloading_s: float = 180.0


DEFAULT = Windows()
