"""Kinds of fields of the status: how long they may be, and how they are written."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, PlainSerializer, WithJsonSchema

from .model import Clip
from .vocabulary import HopName


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[AwareDatetime, PlainSerializer(_rfc3339)]
Name = Annotated[str, Clip(253)]
Line = Annotated[str, Clip(512)]
Text = Annotated[str, Clip(1024)]
Reason = Annotated[str, Clip(64)]
Latency = Annotated[str, Clip(24)]
Short = Annotated[str, Clip(24)]
BriefName = Annotated[str, Clip(64)]
Address = Annotated[str, Clip(45)]
Count = Annotated[int, Field(ge=0)]
# Plain strings outside: a status with a hop of the next version must not be refused by the CRD of this one.
Hop = Annotated[HopName, WithJsonSchema({"type": "string", "maxLength": 63})]
