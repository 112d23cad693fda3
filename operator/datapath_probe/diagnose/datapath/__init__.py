"""The Cilium side of a path: maps, programs, policy, load balancing.

Called by the checks of the hops that own these objects.
"""
