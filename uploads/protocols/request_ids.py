"""The id by which everything that is logged about one request is found again.

Imports nothing of ours: logging is set up before the models are there.
"""

import logging
import re
from contextvars import ContextVar
from uuid import uuid4

#: What a proxy or a client names its request by, and what the answer carries.
HEADER = "X-Request-ID"
#: Nothing that could end a line of the log, or pass for another field of it.
_UNDERSTOOD = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: In the log, for what belongs to no request.
NO_REQUEST = "-"

current: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)


def chosen(given: str) -> str:
    """`given`, or a new id where that is none."""
    return given if _UNDERSTOOD.fullmatch(given) else uuid4().hex


class RequestIdFilter(logging.Filter):
    """Gives each record a `request_id`, for the formatter. Lets all pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get()
        return True
