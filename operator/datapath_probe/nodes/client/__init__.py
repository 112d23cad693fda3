"""The operator's side of the node agents: implements the interfaces of `collect` by asking them.

In: facts, requests. Out: readings, also for every kind of failure. `connections` does the I/O. Assembled by
`kube.cluster`.
"""
