"""Adapters to the API server: authentication, inventory, exec channels, writes of status and Events.

In: the cluster. Out: implementations of the protocols that `plan`, `collect` and `publish` declare. Assembled
by `cluster`. All I/O with Kubernetes happens here; nothing here interprets the results.
"""
