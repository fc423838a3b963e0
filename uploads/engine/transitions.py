"""The states a session moves through, and the only place that moves it.

A move is one conditional UPDATE, and the event that tells of it: it happens for exactly one of
several racing callers, who learns of it by the row count.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from uploads import conf
from uploads.errors import (
    HashConflict,
    SessionCancelled,
    SessionExpired,
    SessionFailed,
    UploadError,
    WrongState,
)
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, SessionStatus

from .events import record

#: A session without news for this long says so when a body begins, not only when it is stored; and
#: a handshake that finds it then continues it. Sweeps that come with fewer hours than this are none
#: that an operator would schedule.
QUIET = timedelta(minutes=1)

ALLOWED: dict[SessionStatus, frozenset[SessionStatus]] = {
    SessionStatus.ACTIVE: frozenset(
        {
            SessionStatus.ASSEMBLING,
            SessionStatus.FAILED,
            SessionStatus.CANCELLED,
            SessionStatus.EXPIRED,
        }
    ),
    # Back to active: the verifier found damaged chunks (P4).
    SessionStatus.ASSEMBLING: frozenset(
        {
            SessionStatus.ACTIVE,
            SessionStatus.COMPLETED,
            SessionStatus.FAILED,
            SessionStatus.CANCELLED,
        }
    ),
    SessionStatus.COMPLETED: frozenset(),
    SessionStatus.FAILED: frozenset(),
    SessionStatus.CANCELLED: frozenset(),
    SessionStatus.EXPIRED: frozenset(),
}
#: What a move to each is called when its story is told.
_EVENTS = {
    SessionStatus.ACTIVE: EventKind.REOPENED,
    SessionStatus.ASSEMBLING: EventKind.RECEIVED,
    SessionStatus.COMPLETED: EventKind.COMPLETED,
    SessionStatus.FAILED: EventKind.FAILED,
    SessionStatus.CANCELLED: EventKind.CANCELLED,
    SessionStatus.EXPIRED: EventKind.EXPIRED,
}


def move(
    session_id: UUID,
    source: SessionStatus,
    target: SessionStatus,
    *,
    only_if: dict[str, Any] | None = None,
    detail: str = "",
    **changes: Any,
) -> bool:
    """Move the session if it is still in `source` (and `only_if` holds); whether it moved.

    `changes` are further columns set by the same UPDATE, `detail` belongs to its event.
    """
    if target not in ALLOWED[source]:
        raise ValueError(f"a session never goes from {source} to {target}")
    now = timezone.now()
    reach(Failpoint.SESSION_MOVE)
    with transaction.atomic():
        moved = FileSession.objects.filter(pk=session_id, status=source, **(only_if or {})).update(
            **{"status": target, "updated_at": now, **changes}
        )
        if moved:
            record(session_id, _EVENTS[target], detail)
    return bool(moved)


def expire_if_due(session: FileSession) -> FileSession:
    """The session, moved to expired when its time is over. Changes `session` in place."""
    now = timezone.now()
    if session.status == SessionStatus.ACTIVE and session.expires_at <= now:
        expired = move(
            session.pk,
            SessionStatus.ACTIVE,
            SessionStatus.EXPIRED,
            only_if={"expires_at__lte": now},
        )
        if expired:
            session.status = SessionStatus.EXPIRED
    return session


def declare(session_id: UUID, sha256: str) -> bool:
    """Set the hash of an open session that has none yet; whether it was set.

    Raises IntegrityError when another open session of its owner declares the same content. A
    verifier at work looks at the declared hash once more when it completes the session.
    """
    reach(Failpoint.SESSION_DECLARE)
    return bool(FileSession.objects.filter(pk=session_id, sha256="").open().update(sha256=sha256))


@contextmanager
def one_open_session(sha256: str) -> Iterator[None]:
    """Within, a hash or a size is declared; raises HashConflict where that makes two of a kind."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise hash_conflict(sha256) from error


def hash_conflict(sha256: str) -> HashConflict:
    return HashConflict(
        f"Another of your open uploads is declared to have the SHA-256 {sha256}. Finish or "
        "cancel that one first, or complete this one without declaring a hash.",
        sha256=sha256,
    )


def touch(session: FileSession) -> bool:
    """Somebody is at work on this session: it lives on from now, unless it has moved meanwhile."""
    now = timezone.now()
    session.updated_at = now
    session.expires_at = now + conf.current().session_lifetime
    reach(Failpoint.SESSION_TOUCH)
    return bool(
        FileSession.objects.filter(pk=session.pk, status=session.status).update(
            updated_at=_not_before("updated_at", session.updated_at),
            expires_at=_not_before("expires_at", session.expires_at),
        )
    )


def _not_before(column: str, moment: datetime) -> Greatest:
    """Who has waited long for the database takes nothing back of what was later than `moment`."""
    return Greatest(F(column), Value(moment, DateTimeField()))


def take_up(session: FileSession) -> None:
    """`touch` for a handshake, which is told of where the session had been quiet."""
    if not session.is_quiet_for(QUIET):
        touch(session)
        return
    with transaction.atomic():
        if touch(session):
            record(session.pk, EventKind.CONTINUED)


def refusal(session: FileSession) -> UploadError:
    """Why a session that is not active takes no chunk."""
    match session.status:
        case SessionStatus.CANCELLED:
            return SessionCancelled(
                "This upload was cancelled and its data removed. Begin a new one by a handshake."
            )
        case SessionStatus.EXPIRED:
            return SessionExpired(
                "This upload was not continued in time and has expired. Begin a new one by a "
                "handshake."
            )
        case SessionStatus.FAILED:
            return SessionFailed(
                f"This upload has failed: {session.error} Begin a new one by a handshake."
            )
        case SessionStatus.COMPLETED:
            return WrongState(
                "This upload is complete already: there is nothing to send.", state=session.status
            )
    return WrongState(
        f"This upload is {session.status}; only an active one can be changed this way.",
        state=session.status,
    )
