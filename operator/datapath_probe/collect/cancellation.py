"""How tasks end that nobody waits for any more. Called by whoever started them, here and in `kube` and `control`."""

import asyncio
from typing import Any


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them and wait until they have cleaned up; what they ended with is of no interest."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
