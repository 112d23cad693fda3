"""Node agents: a small program of our own on every node, and the operator's client for it.

In: facts, and requests to send, over gRPC. Out: readings. `agent` runs on the nodes, `client` in the operator, `wire`
is what they say to each other, `certificates` is how they know each other. Implements the interfaces of `collect`;
assembled by `kube.cluster`, and by `cli` on a node.
"""
