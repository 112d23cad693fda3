"""Background tasks of one exec end with it."""

import asyncio

from datapath_probe.kube.exec.connect import ExecStream
from datapath_probe.kube.exec.one_shot import _OpenStdin


async def test_an_ended_command_does_not_wait_for_stop() -> None:
    async with _OpenStdin(asyncio.Event(), asyncio.Event()).to(ExecStream(None)):  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}
