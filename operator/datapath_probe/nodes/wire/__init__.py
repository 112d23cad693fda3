"""What the operator and a node agent say to each other: `node_agent.proto`, and its messages as our values and back.

`node_agent_pb2` is generated (`make wire`). No command crosses the wire: facts have a kind and parameters, which the
receiver validates as it does those of its own.
"""
