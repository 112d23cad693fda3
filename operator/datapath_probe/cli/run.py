"""`datapath-probe run`: runs the operator until SIGTERM or SIGINT.

In: options. Out: the exit code. Called by `main`.
"""

import asyncio

import structlog

from ..control.app import Options, StartError, serve
from ..control.web import PortError
from ..kube.client import LoginError
from . import logs
from .terminal import Failure


def run_operator(options: Options, log_level: str) -> None:
    """Run the operator. Prints one line if it cannot start; logs a later failure. Exits with 1 in both cases."""
    logs.configure(log_level)
    try:
        asyncio.run(serve(options))
    except (LoginError, StartError, PortError) as error:
        raise Failure(str(error)) from error
    except Exception:
        structlog.get_logger(__name__).exception("operator failed")
        raise SystemExit(1) from None
