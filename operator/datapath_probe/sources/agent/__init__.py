"""The Cilium agent's own account: configuration, endpoints, policies, its metrics of the datapath.

Facts in, typed records out.
"""
