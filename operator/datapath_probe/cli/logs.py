"""Logging to stderr: JSON lines, or colored lines on a terminal. Libraries that use `logging` are included.

In: a level. Out: the logging setup of the process. Called by `cli`. Context bound with `structlog.contextvars` is on
every line of a run: probe, run_id and, once the source pod is found, node (that of the source). Header values and
bodies of requests are never passed to a logger, and tracebacks don't contain them.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ..visible import visible

_OF_SEVERAL_LINES = ("exception", "stack")


def configure(level: str) -> None:
    """Configure logging for the whole process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        # what is not shown costs nothing
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # tracebacks without the values of variables
                _visible,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # logs every handled event at INFO


def _visible(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make control characters in the values visible. Tracebacks keep their lines."""
    return {
        name: _shown(value, keep="\n" if name in _OF_SEVERAL_LINES else "") for name, value in event.items()
    }


def _shown(value: object, keep: str = "") -> object:
    match value:
        case str():
            return visible(value, keep)
        case dict():
            return {_shown(name): _shown(member) for name, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(member) for member in value]
        case None | bool() | int() | float():
            return value
    return visible(repr(value))
