"""Types of status fields: their maximum length, and how they are written."""

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
# Strings in the CRD: it must not reject a status with a hop of the next version.
Hop = Annotated[HopName, WithJsonSchema({"type": "string", "maxLength": 63})]
