"""Conditions of a probe, as Kubernetes writes them. Part of the status."""

from enum import StrEnum
from typing import Annotated

from .model import ApiModel, Clip
from .status_fields import Reason, Text, Time


class ConditionStatus(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A condition, as Kubernetes writes them."""

    type: Annotated[str, Clip(64)]
    """Ready: the spec is valid and being run on schedule. Stalled: it can't be run. Reachable: the outcome is
    as expected. PathHealthy: no hop is Broken or Stale."""

    status: ConditionStatus
    """True, False or Unknown."""

    observed_generation: int | None = None
    """Generation of the probe that this condition is about."""

    last_transition_time: Time
    """When status changed last."""

    reason: Reason
    """Why, in one CamelCase word."""

    message: Text
    """Why, for people."""
