"""Commands in pods, over the exec WebSocket.

In: facts of a node, or a container and an argv. Out: a `Reading`, also for every kind of failure. Entry points:
`one_shot` (one process per connection: curl in a source container), `agent_exec` (the same in an agent's container) and
`agents` (long-lived shells in the agent pods, many commands per round trip). Called by `collect` through its
interfaces; assembled by `kube.cluster`.

`protocol`, `failure` and `framing` are pure; `connect`, `shell` and `pool` do the I/O.
docs/command-channels.md describes the protocol of the shells.
"""
