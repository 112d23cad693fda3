"""Commands in pods, over the exec WebSocket.

In: facts of a node, or a container and an argv. Out: a `Reading`, whatever happens in between. Three entries:
`one_shot` (one process, one connection: curl in a source container), `agent_exec` (the same in an agent's) and
`agents` (long-lived shells in the agent pods, many commands a round trip). Called by `collect` through its
interfaces; put together by `control`.

`commands`, `protocol`, `failure` and `framing` are pure; `connect`, `shell` and `pool` do the I/O around them.
"""
