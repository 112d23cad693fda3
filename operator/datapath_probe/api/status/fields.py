"""Types of status fields: their limits, and how they are written."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, WithJsonSchema

from ..limits import Clamp, Clip
from ..vocabulary import HopName


def _in_utc(time: datetime) -> datetime:
    """The time in UTC; at the ends of the calendar it may not exist there."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return time.replace(tzinfo=UTC)


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(_rfc3339),
    Field(json_schema_extra={"maxLength": 32}),
]
Name = Annotated[str, Clip(253)]
Line = Annotated[str, Clip(512)]
Text = Annotated[str, Clip(1024)]
Reason = Annotated[str, Clip(64)]
Latency = Annotated[str, Clip(24)]
Short = Annotated[str, Clip(24)]
BriefName = Annotated[str, Clip(64)]
Address = Annotated[str, Clip(45)]
# JSON numbers beyond this lose digits in many programs.
Count = Annotated[int, Clamp(0, (1 << 53) - 1)]
Generation = Count
Identity = Annotated[int, Clamp(0, (1 << 32) - 1)]
Port = Annotated[int, Clamp(0, 65535)]
Vni = Annotated[int, Clamp(0, (1 << 24) - 1)]
HttpStatus = Annotated[int, Clamp(0, 999)]
ExitCode = Annotated[int, Clamp(0, 255)]
# Strings in the CRD: it must not reject a status with a hop of the next version.
Hop = Annotated[HopName, WithJsonSchema({"type": "string", "maxLength": 63})]
