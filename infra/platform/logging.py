"""Structured logs. Rule: no address, no secret, no log line of a mail system, ever; counts, names, offsets, reasons.

Two guards stand behind the rule: events are fixed words with named values, and any value that shows an `@` is masked,
whatever its type; tracebacks are text before they are masked.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from infra.platform.settings import Log


def configure(log: Log) -> None:
    """Send every log of this process to standard error in one form."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log.form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_addresses,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log.level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def mask_addresses(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The second guard: a value that shows an `@` becomes `[masked]`, and so does a name that holds one."""
    return {_masked(key): _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    return "[masked]" if "@" in (value if isinstance(value, str) else repr(value)) else value


def get(component: str) -> Any:
    """A logger whose lines say which part wrote them; it takes its form from `configure`, whenever that is called."""
    return structlog.get_logger(component=component)
