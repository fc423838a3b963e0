"""What templates are given: one builder per partial, shared by the page that contains it."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from uploads import conf
from uploads.engine.recovery import recover_if_stuck
from uploads.engine.rereading import DAMAGED_ERROR, is_damaged
from uploads.models import FileSession, FileSessionQuerySet, SessionStatus

from .chunk_map import ChunkMap, draw

#: A chunk arrived this recently: somebody is probably sending, in this tab or elsewhere.
RECENT = timedelta(seconds=30)

#: What a row calls a completed session whose stored file has rotted.
DAMAGED = "damaged"
_LABELS = {
    SessionStatus.ACTIVE: _("Interrupted"),
    SessionStatus.ASSEMBLING: _("Verifying"),
    SessionStatus.COMPLETED: _("Completed"),
    SessionStatus.FAILED: _("Failed"),
    SessionStatus.CANCELLED: _("Cancelled"),
    SessionStatus.EXPIRED: _("Expired"),
    DAMAGED: _("Damaged"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One session as its row shows it."""

    session: FileSession
    #: The status, with one that has run out of time already called expired, or DAMAGED.
    state: str
    label: Any
    #: Why it failed or is damaged, in a sentence for people.
    error: Any
    under_way: bool
    received_bytes: int
    progress: float
    chunk_map: ChunkMap | None
    content_url: str
    #: What the upload module needs to continue this session, as JSON.
    to_resume: str


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the list, newest first; `newer` and `older` are queries, or empty."""

    sessions: list[FileSession]
    own: str
    newer: str
    older: str


def row_context(session: FileSession) -> dict[str, Any]:
    """For partials/uploads/session_row.html."""
    return {"row": _row(session, timezone.now())}


def rows_context(user: AbstractBaseUser, before: str = "", after: str = "") -> dict[str, Any]:
    """For partials/uploads/session_rows.html.

    `before` and `after` are ids of the user's sessions: the page that follows or precedes it.
    Others, and what is no id, give the first page.
    """
    now = timezone.now()
    page = _page(user, before, after)
    rows = [_row(recover_if_stuck(session), now) for session in page.sessions]
    return {
        "rows": rows,
        "under_way": any(row.under_way for row in rows),
        "page": page,
        "list_url": reverse("uploads:handshake") + page.own,
        "dashboard_url": reverse("uploads:dashboard"),
    }


def _row(session: FileSession, now: datetime) -> Row:
    state = _state(session, now)
    recent = state == SessionStatus.ACTIVE and now - session.updated_at <= RECENT
    known = session.size is not None
    return Row(
        session=session,
        state=state,
        label=_("Active just now") if recent else _LABELS[state],
        error=_(DAMAGED_ERROR) if state == DAMAGED else session.error,
        under_way=recent or state == SessionStatus.ASSEMBLING,
        received_bytes=session.received_bytes if known else 0,
        progress=session.progress if known else 0.0,
        chunk_map=draw(session.bitmap) if known else None,
        content_url=_url("uploads:content", session),
        to_resume=_to_resume(session),
    )


def _state(session: FileSession, now: datetime) -> str:
    """As `expire_if_due` would have it, but a page that is only looked at changes nothing."""
    if session.status == SessionStatus.ACTIVE and session.expires_at <= now:
        return SessionStatus.EXPIRED.value
    return DAMAGED if is_damaged(session) else session.status


def _to_resume(session: FileSession) -> str:
    """`SessionToResume` of static/js/uploads/types.d.ts."""
    return json.dumps(
        {
            "id": str(session.pk),
            "filename": session.filename,
            "size": session.size,
            "chunk_size": session.chunk_size,
            "sha256": session.sha256 or None,
            "urls": {"self": _url("uploads:session", session)},
        }
    )


def _url(name: str, session: FileSession) -> str:
    return reverse(name, kwargs={"session_id": session.pk})


def _page(user: AbstractBaseUser, before: str, after: str) -> Page:
    own = FileSession.objects.owned_by(user).select_related("stored_file")
    listed = own.exclude(status=SessionStatus.CANCELLED)
    size = conf.current().page_size
    if cursor := own.by_text(after):
        newer = list(listed.newer_than(cursor).order_by("created_at", "id")[: size + 1])
        # Fewer than a page precede it: then the first page, full, is what was meant.
        if len(newer) > size:
            sessions = newer[size - 1 :: -1]
            return Page(sessions, _query(after=cursor), _query(after=sessions[0]), _older(sessions))
    elif cursor := own.by_text(before):
        sessions, more = _newest(listed.older_than(cursor), size)
        if sessions:
            newer_query = _query(after=sessions[0])
            return Page(
                sessions, _query(before=cursor), newer_query, _older(sessions) if more else ""
            )
    sessions, more = _newest(listed, size)
    return Page(sessions, "", "", _older(sessions) if more else "")


def _newest(sessions: FileSessionQuerySet, size: int) -> tuple[list[FileSession], bool]:
    """The first page of `sessions`, and whether there are more."""
    found = list(sessions.order_by("-created_at", "-id")[: size + 1])
    return found[:size], len(found) > size


def _older(sessions: list[FileSession]) -> str:
    return _query(before=sessions[-1])


def _query(**cursor: FileSession) -> str:
    return "?" + urlencode({name: str(session.pk) for name, session in cursor.items()})
