"""The name that callers still have for a fact."""

from .fact import Fact as Question

__all__ = ["Question"]
