"""The ranges of numbers in a plan. Python does not check them: `kube.objects` reads no others, and a saved plan with
others is refused when it is read.
"""

from typing import Annotated

from annotated_types import Interval

Port = Annotated[int, Interval(ge=0, le=0xFFFF)]
EndpointId = Annotated[int, Interval(ge=0, le=0xFFFF)]
Identity = Annotated[int, Interval(ge=0, le=0xFFFFFFFF)]
Count = Annotated[int, Interval(ge=0, le=1 << 53)]
TimeoutS = Annotated[float, Interval(ge=0, le=3600)]
EpochS = Annotated[float, Interval(ge=-1e11, le=1e11)]
"""Seconds since the epoch, until the year 5138; not NaN."""
