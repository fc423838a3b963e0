"""What a worker process of `manage.py serve` runs. Imports Django late: it may be a new process."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


def load_application(wsgi_application: str, *, server_pid: int) -> Callable[..., Any]:
    """The WSGI application at a dotted path, in a process that the server `server_pid` started."""
    _end_with(server_pid)
    import django

    django.setup()
    from django.utils.module_loading import import_string

    from uploads.engine.recovery import start_recovery

    application: Callable[..., Any] = import_string(wsgi_application)
    start_recovery()
    return application


def _end_with(server_pid: int) -> None:
    """A killed server must not leave a worker behind that holds its port. Linux: prctl(2)."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:
        # It died before we asked.
        os._exit(1)
