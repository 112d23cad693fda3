"""Ends tasks whose result is no longer needed. Called by the code in `collect`, `runs` and `kube` that started them."""

import asyncio
from typing import Any


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until they have cleaned up. Their results and exceptions are ignored."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
