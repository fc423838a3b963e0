"""What a worker process of `manage.py serve` runs. Imports Django late: it may be a new process."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


def load_application(
    wsgi_application: str, *, server_pid: int, port: int, workers: int, shutdown_seconds: float
) -> Callable[..., Any]:
    """The WSGI application at a dotted path, in a process that the server `server_pid` started.

    It is one of `workers` that serve `port`; requests under way have `shutdown_seconds` when it is
    told to stop.
    """
    _end_with(server_pid)
    _leave_interrupts_to_the_server()
    import django

    django.setup()
    from django.utils.module_loading import import_string

    from uploads.connections import start_watchdog
    from uploads.engine.buffers import share_memory
    from uploads.engine.database import keep_few
    from uploads.engine.recovery import start_recovery

    application: Callable[..., Any] = import_string(wsgi_application)
    share_memory(workers)
    keep_few()
    start_recovery()
    start_watchdog(port, shutdown_seconds)
    return application


def _end_with(server_pid: int) -> None:
    """A killed server must not leave a worker behind that holds its port. Linux: prctl(2)."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:
        # It died before we asked.
        os._exit(1)


def _leave_interrupts_to_the_server() -> None:
    """Ctrl-C reaches all processes of a terminal; the server then tells its workers, by SIGTERM.

    The third signal that a worker of granian's sees stops it dead, with the requests under way.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
