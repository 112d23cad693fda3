"""`datapath-probe node-agent`: runs the agent of a node until SIGTERM or SIGINT. Called by `in_cluster`."""

import asyncio
import socket

import structlog

from ..nodes.agent.main import Settings, StartError, serve
from . import logs
from .terminal import Failure


def run_node_agent(settings: Settings, control: socket.socket, log_level: str) -> None:
    """Run the agent. `control`: the socket to the launcher. Exits with 1 if it cannot start, or fails later."""
    logs.configure(log_level)
    try:
        asyncio.run(serve(settings, control))
    except StartError as error:
        raise Failure(str(error)) from error
    except Exception:
        structlog.get_logger(__name__).exception("node agent failed")
        raise SystemExit(1) from None
