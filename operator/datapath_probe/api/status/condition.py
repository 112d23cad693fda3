"""Conditions of a probe, as Kubernetes writes them. Part of the status."""

from enum import StrEnum
from typing import Annotated

from ..limits import Clip
from ..model import ApiModel
from .fields import Generation, Reason, Text, Time


class ConditionStatus(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A condition, as Kubernetes writes them."""

    type: Annotated[str, Clip(64)]
    """ExpectationMet: the outcome is as expected, delivered or denied. PathHealthy: no hop is Broken or Stale.
    Ready: the spec is valid and the probe runs on schedule. Stalled: the probe cannot run until something is
    changed."""

    status: ConditionStatus
    """True, False or Unknown."""

    observed_generation: Generation | None = None
    """Generation of the probe that this condition is based on."""

    last_transition_time: Time
    """Time when the status of the condition changed last."""

    reason: Reason
    """Why, in one CamelCase word."""

    message: Text
    """Why, in one sentence."""
