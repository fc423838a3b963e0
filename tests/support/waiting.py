"""Waiting for a condition instead of for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STEP = 0.02


def wait_until(condition: Callable[[], T], what: str, timeout: float = 60.0) -> T:
    """The first true value of `condition`. Raises TimeoutError, naming `what`."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout} s in vain for {what}")
        time.sleep(_STEP)
