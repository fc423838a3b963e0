"""What templates are given: one builder per partial, shared by the page that contains it."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from uploads import conf
from uploads.core.plan import MIB
from uploads.engine.quotas import bytes_used, quota_of
from uploads.engine.reasons import is_refusal
from uploads.engine.recovery import recover_if_stuck
from uploads.engine.rereading import DAMAGED_ERROR, is_damaged
from uploads.engine.trash import UNDO, restorable
from uploads.engine.usage import usage_of
from uploads.models import (
    EventKind,
    FileSession,
    FileSessionQuerySet,
    Role,
    SessionEvent,
    SessionStatus,
    Usage,
)
from uploads.storage import get_store

from .chunk_map import ChunkMap, draw
from .listing import KINDS, SHOWN, SORTS, UNFINISHED, Listing, Page, page_of

#: A chunk arrived this recently: somebody is probably sending, in this tab or elsewhere.
RECENT = timedelta(seconds=30)
#: Rows of what is under way on the front page; the rest has a page of its own.
MAX_UNFINISHED = 100
#: Of what happened to an upload, the latest.
MAX_EVENTS = 200

_GIB = 1024 * MIB

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
#: Of what is joined of parts, as long as its parts are awaited or copied.
_JOINING = _("Being joined")
#: Of such a part, once all its bytes are in.
_TO_JOIN = _("Waiting to be joined")
_EVENTS = {
    EventKind.OPENED: _("Begun"),
    EventKind.CONTINUED: _("Taken up again"),
    EventKind.RECEIVED: _("All chunks in, verification began"),
    EventKind.REOPENED: _("Damage found, damaged chunks asked for again"),
    EventKind.COMPLETED: _("Verified and complete"),
    EventKind.FAILED: _("Failed"),
    EventKind.CANCELLED: _("Cancelled"),
    EventKind.EXPIRED: _("Expired"),
    EventKind.RENAMED: _("Renamed; it was called"),
    EventKind.TRASHED: _("Deleted"),
    EventKind.RESTORED: _("Deletion undone"),
    EventKind.DAMAGED: _("Found damaged on the server's disk"),
    EventKind.MENDED: _("Mended"),
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
    #: It is the content that is not taken: the same file would fail again.
    refused: bool
    under_way: bool
    #: Active, and nobody has sent anything for a while.
    interrupted: bool
    received_bytes: int
    progress: float
    chunk_map: ChunkMap | None
    content_url: str
    details_url: str
    #: What the upload module needs to continue this session, as JSON.
    to_resume: str


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    sentence: Any
    detail: str


def row_context(session: FileSession) -> dict[str, Any]:
    """For partials/uploads/session_row.html."""
    return {"row": _row(session, timezone.now())}


def details_context(session: FileSession) -> dict[str, Any]:
    """For partials/uploads/details.html."""
    row = _row(session, timezone.now(), whole=True)
    events = SessionEvent.objects.filter(session=session).order_by("-at", "-id")[:MAX_EVENTS]
    return {
        "row": row,
        "under_way": row.under_way,
        "kind": KINDS.get(session.kind, ""),
        "chunks": session.plan.total if session.size is not None else None,
        "events": [Event(e.at, _EVENTS[EventKind(e.kind)], e.detail) for e in reversed(events)],
    }


def list_context(user: AbstractBaseUser, listing: Listing) -> dict[str, Any]:
    """For partials/uploads/list.html."""
    now = timezone.now()
    own = FileSession.objects.owned_by(user)
    # Before the page is read: what completes in between is on both then. The other way round it
    # would be on neither, and nothing would be under way that had the list read again.
    unfinished = _unfinished(user, now) if listing.is_front else []
    page = page_of(own, listing, conf.current().page_size)
    if page.listing.is_front and not listing.is_front:
        # The page that was asked for is gone, and this is the first.
        unfinished = _unfinished(user, now)
    listing = page.listing
    rows = _rows(page.sessions, now)
    on_page = {row.session.pk for row in rows}
    unfinished = [row for row in unfinished if row.session.pk not in on_page]
    usage = usage_of(user)
    quota = quota_of(user).bytes
    return {
        "listing": listing,
        "page": page,
        "rows": rows,
        "unfinished": unfinished[:MAX_UNFINISHED],
        "more_unfinished": len(unfinished) > MAX_UNFINISHED,
        "unfinished_url": reverse("uploads:dashboard") + Listing(shown=UNFINISHED).query(),
        "interrupted": _interrupted(own, now) if unfinished else 0,
        "under_way": any(row.under_way for row in [*unfinished, *rows]),
        "empty": _is_empty(listing, page, unfinished, usage),
        "usage": usage,
        "free_bytes": _about(get_store().free_bytes()),
        "quota_bytes": quota,
        "used_bytes": None if quota is None else bytes_used(user),
        "sorts": SORTS,
        "kinds": KINDS,
        "list_url": reverse("uploads:handshake") + listing.query(),
        "dashboard_url": reverse("uploads:dashboard"),
        **_undo(user, now),
    }


def _unfinished(user: AbstractBaseUser, now: datetime) -> list[Row]:
    """Those that moved last, in the order in which they were begun: rows that move keep their
    place. (By that order alone the database would walk all files to find them.)
    """
    sessions = FileSession.objects.owned_by(user).filter(status__in=SHOWN[UNFINISHED])
    latest = sessions.order_by("-updated_at", "-id")[: MAX_UNFINISHED + 1]
    return _rows(sorted(latest, key=lambda s: (s.created_at, s.pk), reverse=True), now)


def _interrupted(own: FileSessionQuerySet, now: datetime) -> int:
    """All that wait for somebody to go on with them, beyond the rows that are shown as well."""
    waiting = own.filter(status=SessionStatus.ACTIVE, updated_at__lt=now - RECENT)
    waiting = waiting.exclude(role=Role.PART)
    return waiting.filter(expires_at__gt=now).count()


def _rows(sessions: list[FileSession], now: datetime) -> list[Row]:
    return [_row(recover_if_stuck(session), now) for session in sessions]


def _is_empty(listing: Listing, page: Page, unfinished: list[Row], usage: Usage) -> bool:
    """Whether this person has nothing here at all."""
    return listing.is_front and not (page.sessions or unfinished or usage.stored_files)


def _about(free: int) -> int:
    """Rounded down to what a person reads: whatever others send must not make a list look new."""
    return free - free % (_GIB if free >= 10 * _GIB else _GIB // 10)


def _undo(user: AbstractBaseUser, now: datetime) -> dict[str, Any]:
    """What was deleted a moment ago, and for how many seconds it may come back."""
    trashed = restorable(user)
    if not trashed:
        return {"trashed": []}
    latest = max(session.trashed_at for session in trashed if session.trashed_at)
    left = (latest + UNDO - now).total_seconds()
    return {"trashed": trashed, "undo_seconds": max(1, round(left))}


def _row(session: FileSession, now: datetime, *, whole: bool = False) -> Row:
    """`whole` for the page about it, where the map of a complete file is shown as well."""
    state = _state(session, now)
    recent = state == SessionStatus.ACTIVE and now - session.updated_at <= RECENT
    # Of a file that may end anywhere no map would be true.
    drawn = session.size is not None and (whole or state != SessionStatus.COMPLETED)
    # Nor of what has no chunks of its own before it is joined.
    drawn = drawn and (session.role != Role.WHOLE or session.is_whole)
    return Row(
        session=session,
        state=state,
        label=_label(session, state, recent=recent),
        error=_reason(session, state),
        refused=is_refusal(session.error),
        under_way=recent or state == SessionStatus.ASSEMBLING,
        # No file that could be chosen is a part.
        interrupted=state == SessionStatus.ACTIVE and not recent and session.role != Role.PART,
        received_bytes=session.received_bytes,
        progress=session.progress,
        chunk_map=_chunk_map(session) if drawn else None,
        content_url=_url("uploads:content", session),
        details_url=_url("uploads:details", session),
        to_resume=_to_resume(session),
    )


def _label(session: FileSession, state: str, *, recent: bool) -> Any:
    if session.role == Role.WHOLE and state == SessionStatus.ASSEMBLING:
        return _JOINING
    if session.role == Role.PART and state == SessionStatus.ACTIVE and session.is_whole:
        return _TO_JOIN
    return _("Active just now") if recent else _LABELS[state]


def _chunk_map(session: FileSession) -> ChunkMap:
    bitmap = session.bitmap
    return draw(bitmap, bitmap.first_missing() if session.tail_length else None)


def _reason(session: FileSession, state: str) -> str:
    """In the language of whoever looks; the row keeps the sentence in English."""
    sentence = DAMAGED_ERROR if state == DAMAGED else session.error
    # The translation of nothing would be the catalogue's own header.
    return gettext(sentence) if sentence else ""


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
            "folder": session.folder,
            "size": session.size,
            "offset": session.offset,
            "chunk_size": session.chunk_size,
            "sha256": session.sha256 or None,
            "urls": {"self": _url("uploads:session", session)},
        }
    )


def _url(name: str, session: FileSession) -> str:
    return reverse(name, kwargs={"session_id": session.pk})
