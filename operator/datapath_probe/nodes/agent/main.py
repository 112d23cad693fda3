"""The composition root of the node agent: assembles it, serves until SIGTERM or SIGINT, and stops within seconds.

In: `Settings`, and the socket to the launcher. Out: a running agent. Called by `cli.node_agent`.
"""

import asyncio
import contextlib
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import structlog

from ... import __version__
from ...addresses import parse_address, with_port
from ...plan.outside import AddressRestrictions
from ..certificates.files import IdentityFiles, NoIdentityError
from .cilium import CiliumApi
from .collectors import Collectors
from .hubble import Hubble
from .pods import Pods
from .processes import Processes
from .requests import Requests
from .server import NodeService, server

log = structlog.get_logger(__name__)

_GRACE_S = 2.0
_POLL_S = 1.0


class StartError(Exception):
    """The agent cannot start, or its launcher has ended; the message gives the reason in one line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the agent. `certificates`: a directory. `restrictions`: where no request is sent."""

    node: str
    listen: str
    port: int
    certificates: Path
    restrictions: AddressRestrictions


async def serve(settings: Settings, control: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError."""
    stop, lost = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def on_lost() -> None:
        lost.set()
        stop.set()

    processes, api, hubble = Processes(control), CiliumApi(), Hubble()
    processes.attach(on_lost)
    service = NodeService(
        settings.node,
        Collectors(processes, api, hubble),
        Requests(processes, Pods(), settings.restrictions),
    )
    files = IdentityFiles(settings.certificates)
    if not await _has_identity(files, stop):
        return
    host = parse_address(settings.listen) or settings.listen
    try:
        running = server(service, with_port(host, settings.port), files)
    except RuntimeError as error:
        raise StartError(str(error)) from None
    await running.start()
    log.info("started", version=__version__, node=settings.node, port=settings.port)
    await stop.wait()
    await running.stop(_GRACE_S)
    await api.close()
    await hubble.close()
    if lost.is_set():
        raise StartError("the launcher has ended")
    log.info("stopped")


async def _has_identity(files: IdentityFiles, stop: asyncio.Event) -> bool:
    """Wait for the first certificate; False if the agent is to stop."""
    waiting = False
    while not stop.is_set():
        try:
            files.read()
        except NoIdentityError as error:
            if not waiting:
                log.info("waiting for a certificate", why=str(error))
            waiting = True
        else:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _POLL_S)
    return False
