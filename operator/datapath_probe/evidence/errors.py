"""Why evidence is missing: the reasons of `Unavailable`, and the label `reason` of
`datapath_probe_evidence_errors_total`.

Each has an entry in docs/errors.md.
"""

from enum import StrEnum


class EvidenceError(StrEnum):
    """A closed list. The values are also reasons of hops and probes, if there is no more specific one."""

    NOT_COLLECTED = "NotCollected"
    TIMEOUT = "EvidenceTimeout"
    CHANNEL_LOST = "ChannelLost"
    EXEC_FORBIDDEN = "ExecForbidden"
    EXEC_FAILED = "ExecFailed"
    POD_NOT_FOUND = "PodNotFound"
    CONTAINER_NOT_FOUND = "ContainerNotFound"
    ADDRESS_FORBIDDEN = "AddressForbidden"
    CA_NOT_FOUND = "CANotFound"
    CA_FORBIDDEN = "CAForbidden"
    CA_INVALID = "CAInvalid"
    NO_SUCH_EXECUTABLE = "NoSuchExecutable"
    STDIN_UNSUPPORTED = "StdinUnsupported"
    COMMAND_FAILED = "CommandFailed"
    UNPARSABLE = "UnparsableOutput"
    TRUNCATED = "TruncatedOutput"
    TOO_LARGE = "AnswersTooLarge"
    TOO_MANY_RULES = "TooManyRules"
    AGENT_NOT_FOUND = "AgentNotFound"
    AGENT_NOT_READY = "AgentNotReady"
    AGENT_NOT_RESPONDING = "AgentNotResponding"
    NODE_AGENT_UNAVAILABLE = "NodeAgentUnavailable"
    NODE_AGENT_OUTDATED = "NodeAgentOutdated"
    UNSUPPORTED_VERSION = "UnsupportedVersion"
    UNSUPPORTED_CONFIGURATION = "UnsupportedConfiguration"
    INTERNAL_ERROR = "InternalError"
