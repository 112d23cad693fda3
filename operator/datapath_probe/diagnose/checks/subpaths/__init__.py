"""Paths that a request depends on besides its own: of DNS queries, and of the kubelet's readiness probes.

In: a context. Out: the findings of their hops. Called by the checks of `name-resolution` and `service-lookup`.
"""
