"""Collects reference cycles that runs leave behind, early and cheaply. Run by `app` once the inventory is synced.

In, out: nothing. The WebSocket of every exec ends as a reference cycle of aiohttp objects, 14 kB per run with its TLS
state. Python collects the oldest generation only when new objects reach a quarter of the old ones: with 190,000 old
objects, most of them from modules, that is after about 5,000 runs and 70 MB.
"""

import asyncio
import gc

INTERVAL_S = 30.0


async def collect_garbage() -> None:
    """Collect periodically; never returns. Objects that exist at the start (modules, models, the inventory) are frozen,
    so a collection takes milliseconds. Reference counting still frees those that are replaced.
    """
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(INTERVAL_S)
        gc.collect()
