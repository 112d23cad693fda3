"""Commands in pods, over the exec WebSocket.

In: a container and an argv. Out: a `Reading`, whatever happens on the way. Two ways in: `once` (one process,
one connection: curl in a source container) and `agents` (long-lived shells in the agent pods, many commands a
round trip). Called by `collect` through its ports; put together by `control`.

`protocol`, `failure` and `framing` are pure; `connect`, `shell` and `pool` do the I/O around them.
"""
