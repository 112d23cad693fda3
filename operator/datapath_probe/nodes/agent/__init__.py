"""The agent on a node: tells facts about it, and sends requests from its pods. It attaches nothing and changes nothing.

In: calls of `wire`. Out: readings. Started by `cli.node_agent`; `server` assembles it.
"""
