"""An entry of a pinned map: the name of the map, and the bytes of the key in the layout of Cilium's programs."""

from typing import NamedTuple


class MapKey(NamedTuple):
    """`map`: the name under which it is pinned."""

    map: str
    key: bytes
