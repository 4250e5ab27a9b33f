"""Log lines: the name of the event and ids; never names, numbers, words or secrets."""

import logging
import sys
from typing import Literal

import structlog


def set_up(form: Literal["console", "json"]) -> None:
    """Log to stderr, for people or for collectors."""
    # A plain traceback: the pretty one prints local variables, and those hold people's words.
    people = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    render = people if form == "console" else structlog.processors.JSONRenderer()
    logging.basicConfig(level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(() if form == "console" else (structlog.processors.format_exc_info,)),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
