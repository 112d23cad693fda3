"""A fault that is made by one command and undone by another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab.cluster import Lab


@contextmanager
def done(lab: Lab, node: str, do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    """While this lasts, `do` has been run in a node's namespaces; `undo` is run in the end, whatever happens."""
    lab.run(node, *do)
    try:
        yield
    finally:
        lab.run(node, *undo)
