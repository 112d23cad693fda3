"""How long the datapath may lag behind a change of the objects. A parameter of the run, so that tests need not wait for
the default windows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Windows:
    """In seconds. Within a window, a failed run proves nothing; after it, a remaining difference is a fault."""

    # An interrupted watch is re-established within seconds; after that, objects may have changed.
    trusted_view_s: float = 10.0
    # An application that has just started may not listen yet, and other nodes may not know its address yet.
    pod_starting_s: float = 10.0
    # The maps of all nodes have new endpoints within a second, on busy nodes within a few.
    endpoints_spreading_s: float = 10.0
    # A new pod has its image, its address and a running container within this time, unless something is wrong.
    pod_coming_s: float = 60.0
    # A restarted agent compiles and loads the programs of its endpoints.
    agent_starting_s: float = 30.0
    # After this time, an agent or a node that is not ready is down.
    not_ready_s: float = 120.0
    # Agents write the states of their endpoints every 10 s, so a CiliumEndpoint may be out of date for a moment; after
    # this time the endpoint is stuck, or something else has written the object.
    regenerating_s: float = 30.0
    # A drain evicts pods within seconds of the cordon.
    draining_s: float = 30.0
    # An agent that has not reloaded an endpoint's programs by then does not do so by itself.
    programs_reloading_s: float = 180.0


DEFAULT = Windows()
