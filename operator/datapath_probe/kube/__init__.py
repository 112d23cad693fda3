"""Adapters to the API server: login, inventory, command channels, writes of status and Events.

In: the cluster. Out: implementations of the protocols that `plan`, `collect` and `publish` declare. Put
together by `cluster`, for `control` and `cli`. All I/O with Kubernetes happens here; nothing here judges what it
brings.
"""
