"""Frees what runs leave behind, soon and cheaply. Run by `app` once the cluster is known.

The WebSocket of every exec ends as a cycle of aiohttp's objects, with its TLS state 14 kB a run, which reference counts
do not free. Python looks for old cycles only when new objects come to a quarter of all old ones: with 190,000 of them,
most of them modules, that is after some 5,000 runs and 70 MB.
"""

import asyncio
import gc

EVERY_S = 30.0


async def collect_garbage() -> None:
    """Never returns. What is there at the start (modules, models, the inventory) is never looked at again: so a
    collection takes milliseconds. Objects of it that are replaced are freed by their reference counts.
    """
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(EVERY_S)
        gc.collect()
