"""`datapath-probe run`: the operator, until it is told to stop."""

import asyncio

import click
import structlog

from ..control.app import Options, StartError, serve
from ..control.web import PortError
from ..kube.client import LoginError
from . import logs


def run_operator(options: Options, log_level: str) -> None:
    """Run it. What keeps it from starting is one line; a failure after that is in the log. Exits 1 after both."""
    logs.configure(log_level)
    try:
        asyncio.run(serve(options))
    except (LoginError, StartError, PortError) as error:
        raise click.ClickException(str(error)) from error
    except Exception:
        structlog.get_logger(__name__).exception("the operator failed")
        raise SystemExit(1) from None
