"""What both sides hold each other to: sizes in bytes, numbers, and times in seconds."""

PROTOCOL_VERSION = 1
"""Raised when a message changes its meaning. An agent answers the version that it is asked in, or refuses."""

PORT = 4246
"""Of the node agent, by default. Cilium's own ports are 4240 to 4245."""

FACTS_IN_A_CALL = 2000
ANSWER_LIMIT, LARGE_ANSWER_LIMIT = 512 * 1024, 4 * 1024 * 1024
CALL_LIMIT = 8 * 1024 * 1024
"""Of all answers to one call together."""

MESSAGE_LIMIT = CALL_LIMIT + 1024 * 1024
REQUEST_LIMIT = 512 * 1024
"""Of a message to an agent."""

CALLS_AT_ONCE = 256
"""To one agent; more are refused, and the operator tries again or gives up."""

COMMANDS_AT_ONCE, REQUESTS_AT_ONCE = 16, 64
"""Processes of one agent. Requests may take a minute, and have no part in what facts wait for."""

BODY_LIMIT = 64 * 1024
"""Of what a request prints on stdout."""
