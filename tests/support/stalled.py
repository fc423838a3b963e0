"""Clients that send a request, or a part of one, and then nothing more."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import requests

from .server import Server
from .waiting import wait_until


@contextmanager
def stalled(server: Server, requests_sent: list[bytes]) -> Iterator[list[socket.socket]]:
    """A connection for each request, and nothing more on any."""
    with ExitStack() as stack:
        sockets = []
        for request in requests_sent:
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.sendall(request)
            sockets.append(one)
        yield sockets


def wait_beside_others(server: Server, condition: Callable[[], object], what: str) -> None:
    """Wait for `condition` of stalled requests while somebody else goes on asking for a page.

    granian begins a thread when a request comes and none seems idle. Very rarely one that has just
    become busy still seems so, and the request waits for the next: without one, among clients who
    all stall, for ever (docs/adr/0009).
    """

    def holds() -> bool:
        if condition():
            return True
        with suppress(requests.RequestException):
            requests.get(f"{server.url}/sign-in/", timeout=2)
        return False

    wait_until(holds, what)
