"""Ends connections on which nothing moves any more. In a worker of the server; Linux only.

granian waits for ever for a body that has stopped arriving, and for a client that does not read its
answer. Each keeps a thread, and a thread blocked in a read cannot be woken from Python. To shut its
connection down wakes it, and the kernel knows for how long nothing has moved.
"""

import logging
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

logger = logging.getLogger("uploads.connections")

#: No data in either direction for this long ends a connection. More than the 60 s for which proxies
#: keep idle connections for reuse, so that they close theirs first.
IDLE_SECONDS = 75.0
#: How often that is looked for.
LOOK_SECONDS = 5.0
#: Where struct tcp_info (linux/tcp.h) has tcpi_last_data_sent and tcpi_last_data_recv, u32 in ms.
#: Not the times of acknowledgements: a client that reads nothing goes on sending those.
_DATA_SENT, _DATA_RECEIVED = 44, 52
_TCP_INFO_BYTES = 104


def end_idle(port: int, seconds: float) -> int:
    """Shut down this process's connections at its `port` that are idle for so long; how many."""
    return sum(_ended_if_idle(fd, port, seconds) for fd in _descriptors())


def start_watchdog(port: int, shutdown_seconds: float) -> None:
    """Watch the connections at `port` in a thread, for as long as this process lives.

    When the process is told to stop, requests under way have `shutdown_seconds`; then all
    connections end, so that no stalled one keeps the process. Call it in the main thread.
    """
    if not sys.platform.startswith("linux"):
        return
    told, telling = socket.socketpair()
    telling.setblocking(False)
    # Written to by Python's own handler of signals, whichever functions the server sets.
    signal.set_wakeup_fd(telling.detach(), warn_on_full_buffer=False)
    threading.Thread(
        target=_watch, args=(port, told, shutdown_seconds), name="uploads-watchdog", daemon=True
    ).start()


def _watch(port: int, told: socket.socket, shutdown_seconds: float) -> None:
    while not _is_told_to_stop(told, LOOK_SECONDS):
        _attempt_to_end(port, IDLE_SECONDS)
    time.sleep(shutdown_seconds)
    while True:
        _attempt_to_end(port, 0)
        time.sleep(1)


def _is_told_to_stop(told: socket.socket, seconds: float) -> bool:
    """Whether SIGTERM comes within so many seconds."""
    told.settimeout(seconds)
    try:
        return signal.SIGTERM in told.recv(64)
    except TimeoutError:
        return False


def _attempt_to_end(port: int, seconds: float) -> None:
    try:
        ended = end_idle(port, seconds)
    except OSError:
        # No descriptor left for looking at the descriptors. The next look may have one.
        logger.exception("Idle connections could not be looked for")
    else:
        if ended:
            logger.info("Ended %d connections without news for %d s", ended, seconds)


def _descriptors() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]


def _ended_if_idle(fd: int, port: int, seconds: float) -> bool:
    with suppress(OSError), _lent(fd) as connection:
        # What is no such connection raises OSError at one of these, or is none by its answer.
        if (
            connection.family in {socket.AF_INET, socket.AF_INET6}
            and connection.getsockname()[1] == port
            and connection.getpeername()
            and _idle_seconds(connection) >= seconds
        ):
            connection.shutdown(socket.SHUT_RDWR)
            return True
    return False


@contextmanager
def _lent(fd: int) -> Iterator[socket.socket]:
    """The socket `fd`, which stays its owner's. Raises OSError when it is none, or gone.

    Not a duplicate of it: should the number have become a file of SQLite's meanwhile, then closing
    the duplicate would drop the locks that this process has on the database. A number that has
    become another connection is found not to be idle.
    """
    connection = socket.socket(fileno=fd)
    try:
        yield connection
    finally:
        connection.detach()


def _idle_seconds(connection: socket.socket) -> float:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    [sent] = struct.unpack_from("=I", info, _DATA_SENT)
    [received] = struct.unpack_from("=I", info, _DATA_RECEIVED)
    return float(min(sent, received) / 1000)
