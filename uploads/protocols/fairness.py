"""One person's share of the server: what is in flight of theirs at one moment is bounded.

Whoever stalls, or sends all they have at once, then waits for themselves and not the others for
them. Per process, as the bounds of readers and memory are.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from uploads import conf
from uploads.errors import InvalidRequest, LengthRequired, TooManyRequests

from .auth import SAFE_METHODS
from .bodies import content_length


@dataclass(slots=True)
class _Share:
    """What one person has in flight."""

    requests: int = 0
    #: Of all bodies but the oversized.
    bytes: int = 0
    #: Bodies that are larger by themselves than all together may be.
    oversized: int = 0

    def add(self, other: "_Share", times: int = 1) -> None:
        self.requests += times * other.requests
        self.bytes += times * other.bytes
        self.oversized += times * other.oversized


_lock = threading.Lock()
#: By primary key; only people who have something in flight.
_shares: dict[Any, _Share] = {}


def declared_length(request: HttpRequest) -> int | None:
    """The declared length of the body in bytes; None without one that can be understood.

    Whether that is refused is for the view to say.
    """
    try:
        return content_length(request)
    except (LengthRequired, InvalidRequest):
        return None


@contextmanager
def fair_share(request: HttpRequest, user: AbstractBaseUser) -> Iterator[None]:
    """Counts the request as in flight, if it is one that changes something. Reads no body.

    A body of unknown length counts as a request of 0 bytes. Raises TooManyRequests.
    """
    if request.method in SAFE_METHODS:
        yield
        return
    length = declared_length(request) or 0
    wanted = _Share(1, length)
    if length > conf.current().max_bytes_per_user:
        # Or a single large file would shut out all else of its sender while it is sent.
        wanted = _Share(1, 0, oversized=1)
    _take(user.pk, wanted)
    try:
        yield
    finally:
        _give_back(user.pk, wanted)


def _take(who: Any, wanted: _Share) -> None:
    with _lock:
        share = _shares.get(who) or _Share()
        _check(share, wanted)
        share.add(wanted)
        _shares[who] = share


def _give_back(who: Any, wanted: _Share) -> None:
    with _lock:
        share = _shares[who]
        share.add(wanted, -1)
        if not share.requests:
            del _shares[who]


def _check(share: _Share, wanted: _Share) -> None:
    """Raises TooManyRequests if `wanted` is too much beside `share`."""
    config = conf.current()
    if share.requests + wanted.requests > config.max_requests_per_user:
        raise TooManyRequests(
            f"You have {share.requests} requests under way, and at one moment this server takes "
            f"{config.max_requests_per_user} of one person. Nothing was read: send the same "
            "request again when one of them has ended.",
            limit=config.max_requests_per_user,
        )
    limit = config.max_bytes_per_user
    if share.bytes + wanted.bytes > limit or share.oversized + wanted.oversized > 1:
        raise TooManyRequests(
            f"At one moment this server takes bodies of {limit} bytes together of one person, and "
            "one that is larger by itself; with this one yours would be more. Nothing was read: "
            "send the same request again when one of them has ended.",
            limit=limit,
        )
