"""A fault that one command applies and another reverts. Used by the injectors and the catalog."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab.cluster import Lab


@contextmanager
def applied(lab: Lab, node: str, apply: Sequence[str], revert: Sequence[str]) -> Iterator[None]:
    """Run `apply` in a node's namespaces, and `revert` on exit, in any case."""
    lab.run(node, *apply)
    try:
        yield
    finally:
        lab.run(node, *revert)
