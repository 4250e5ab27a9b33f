"""Log lines: the name of the event and ids; never names, numbers, words or secrets."""

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger


def set_up(form: Literal["console", "json"], least: int = logging.INFO) -> None:
    """Log what is as grave as `least` or graver to stderr, for people or for collectors."""
    people = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    render = people if form == "console" else structlog.processors.JSONRenderer()
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(_Placed("%(levelname)s:%(name)s:%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _place_fault,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def where(fault: BaseException) -> str:
    """Kinds and places of a fault and of its causes.

    Never what it says: a database error quotes the row, a parser its input.
    """
    return "\n".join(_lines(fault))


def _lines(fault: BaseException) -> Iterator[str]:
    cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    if cause is not None:
        yield from _lines(cause)
    for frame in traceback.extract_tb(fault.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"{type(fault).__module__}.{type(fault).__qualname__}"


def _place_fault(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    told = event.pop("exc_info", None)
    fault = told if isinstance(told, BaseException) else sys.exc_info()[1] if told else None
    if fault is not None:
        event["exception"] = where(fault)
    return event


class _Placed(logging.Formatter):
    """Faults that libraries log, told in the same way."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return where(ei[1]) if ei[1] is not None else ""
