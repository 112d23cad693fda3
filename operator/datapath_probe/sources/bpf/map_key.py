"""An entry of a pinned map: the map's name, and the key's bytes as its programs lay them out."""

from typing import NamedTuple


class MapKey(NamedTuple):
    """`map`: the name under which it is pinned."""

    map: str
    key: bytes
