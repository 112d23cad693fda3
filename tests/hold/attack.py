"""One attack: what it cost before, what it may cost, and how that is measured. The attacks are in `catalog`."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """A measured value must be within these bounds."""

    unit: str
    at_most: float = math.inf
    at_least: float = -math.inf

    def is_met(self, value: float) -> bool:
        return self.at_least <= value <= self.at_most

    def shown(self, value: float) -> str:
        """The value with its unit."""
        return f"{round(value, 2):.2g} {self.unit}" if value < 10 else f"{value:,.0f} {self.unit}"

    def __str__(self) -> str:
        if self.at_least > -math.inf:
            return f"≥ {self.shown(self.at_least)}"
        return f"≤ {self.shown(self.at_most)}" if self.at_most else self.shown(0)


@dataclass(frozen=True, slots=True)
class Attack:
    """`before`: the same attack at commit 312a53d. `measure`: attack today's code, and return the value for the bar;
    raises MissingProgramError.
    """

    name: str
    before: str
    bar: Bar
    measure: Callable[[], float]
