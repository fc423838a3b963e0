"""The handshake: here is my file; what do you still need?"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from uploads import conf
from uploads.core.bitmap import Bitmap
from uploads.core.plan import grown_chunk_size
from uploads.errors import (
    DigestMismatch,
    QuotaExceeded,
    StorageFull,
    StorageUnavailable,
    TicketExpired,
    TooLarge,
    Unavailable,
)
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, JoinedPart, Role, SessionStatus, StoredFile

from . import usage
from .access import reread
from .admitting import ANYTHING, Admission, check_admission
from .announcing import announce_completed
from .background import enqueue_finish
from .durability import acknowledging_transaction, each_chunk_is_synced, synced_transaction
from .events import record
from .finishing import finish
from .inspecting import check_name
from .quotas import check_quota
from .receiving import assemble_if_whole
from .recovery import recover_if_stuck
from .room import check_room, prepared_store
from .transitions import declare, expire_if_due, hash_conflict, take_up
from .uploaded import stored_content
from .validating import validate

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
#: Each round another request has opened, ended or renamed what we looked for; two is rare.
_ROUNDS = 5


class Outcome(StrEnum):
    CREATED = "created"
    RESUMED = "resumed"
    FILE_EXISTS = "file_exists"


class _LookAgainError(Exception):
    """What was found has changed before it could be used."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client says of its file. Checked for form by the protocol; sizes in bytes."""

    filename: str
    #: None while it is unknown: then nothing is looked for, and the session is always a new one.
    size: int | None
    sha256: str = ""
    resume_key: str = ""
    mime_type: str = ""
    #: From MIN_CHUNK_SIZE to MAX_CHUNK_SIZE, or None for the default.
    chunk_size: int | None = None
    #: Where the file came from: relative, without a slash at either end, or empty.
    folder: str = ""
    #: What becomes of it when all is in. Wholes are opened by `open_whole`.
    role: Role = Role.FILE
    #: What the client gets back, as it is.
    client_metadata: str = ""
    admission: Admission = ANYTHING

    @property
    def scope(self) -> str:
        return self.admission.scope

    def is_met_by(self, session: FileSession) -> bool:
        """Whether a session of this content is made for the same, and called as the offer is."""
        return (self.scope, self.filename, self.folder) == (
            session.scope,
            session.filename,
            session.folder,
        )


def open_session(owner: AbstractBaseUser, offer: Offer) -> tuple[Outcome, FileSession]:
    """The owner's session for this file and scope: complete, open, or a new one.

    Raises TooLarge, QuotaExceeded, FileTypeNotAllowed, TicketExpired, StorageFull, ContentRefused
    where content that is here already is not taken under this name, Unavailable where nobody can
    say now, or DigestMismatch for an empty file with another hash.
    """
    check_admission(offer.admission, offer.filename, offer.size, offer.mime_type)
    check_name(offer.filename, offer.mime_type)
    if offer.size is not None:
        check_size(offer.size, offer.sha256)
    for _ in range(_ROUNDS):
        try:
            return _found(owner, offer) or (Outcome.CREATED, _created(owner, offer))
        except (IntegrityError, _LookAgainError):
            # The same handshake at the same moment was first: find what it opened.
            continue
    raise Unavailable("Other handshakes for this very file got in the way. Send it again.")


def open_whole(owner: AbstractBaseUser, offer: Offer, parts: Sequence[FileSession]) -> FileSession:
    """A new session of the owner's, to be joined of these parts of theirs in their order.

    Its size is theirs together, None while that of one is unknown. Raises what `open_session`
    raises, and HashConflict where another open session is declared to have this hash.
    """
    sizes = [part.size for part in parts]
    size = None if None in sizes else sum(size or 0 for size in sizes)
    offer = replace(offer, size=size, role=Role.WHOLE)
    check_admission(offer.admission, offer.filename, size, offer.mime_type)
    check_name(offer.filename, offer.mime_type)
    check_size(size or 0, offer.sha256 if size else "")
    try:
        return _created(owner, offer, parts)
    except IntegrityError as error:
        raise hash_conflict(offer.sha256) from error


def check_size(size: int, sha256: str) -> None:
    """Raises TooLarge, or DigestMismatch for an empty file with another declared hash."""
    limit = conf.current().max_file_size
    if size > limit:
        raise TooLarge(
            f"This file has {size} bytes; this server takes files of at most {limit}.",
            limit=limit,
        )
    if size == 0 and sha256 not in {"", _EMPTY_SHA256}:
        raise DigestMismatch(
            f"A file of 0 bytes has the SHA-256 {_EMPTY_SHA256}, declared was {sha256}.",
            expected=sha256,
            actual=_EMPTY_SHA256,
        )


def _found(owner: AbstractBaseUser, offer: Offer) -> tuple[Outcome, FileSession] | None:
    complete = _complete_by_hash(owner, offer)
    if complete:
        same = offer.is_met_by(complete)
        return Outcome.FILE_EXISTS, complete if same else _copied(owner, offer, complete)
    session = _open_by_hash(owner, offer) or _open_by_key(owner, offer)
    if session is None:
        return None
    if session.status == SessionStatus.ACTIVE:
        take_up(session)
    return Outcome.RESUMED, recover_if_stuck(session)


def _complete_by_hash(owner: AbstractBaseUser, offer: Offer) -> FileSession | None:
    """Speaks only of the asker's own files: others' are never found (P9).

    One that meets the offer, if there is one; else another of the same content.
    """
    if not offer.sha256:
        return None
    meets_it = Case(
        When(scope=offer.scope, filename=offer.filename, folder=offer.folder, then=Value(0)),
        default=Value(1),
    )
    return (
        FileSession.objects.owned_by(owner)
        .filter(
            status=SessionStatus.COMPLETED,
            sha256=offer.sha256,
            size=offer.size,
            stored_file__state=StoredFile.State.LIVE,
        )
        .order_by(meets_it, "-created_at")
        .first()
    )


def _still_open(session: FileSession | None) -> FileSession | None:
    if session is None or expire_if_due(session).status == SessionStatus.EXPIRED:
        return None
    return session


def _open_by_hash(owner: AbstractBaseUser, offer: Offer) -> FileSession | None:
    if not offer.sha256:
        return None
    sessions = FileSession.objects.owned_by(owner).open().filter(scope=offer.scope)
    return _still_open(sessions.filter(size=offer.size, sha256=offer.sha256).first())


def _open_by_key(owner: AbstractBaseUser, offer: Offer) -> FileSession | None:
    if not offer.resume_key:
        return None
    sessions = FileSession.objects.owned_by(owner).open().filter(scope=offer.scope)
    session = _still_open(sessions.filter(size=offer.size, resume_key=offer.resume_key).first())
    if session is None or not offer.sha256 or session.sha256 == offer.sha256:
        return session
    if session.sha256:
        # Another file under the same key: a new session will take the key.
        return None
    return _declared(session, offer.sha256)


def _declared(session: FileSession, sha256: str) -> FileSession:
    """The session with its hash declared, verifying already if nothing is missing."""
    with transaction.atomic():
        if not declare(session.pk, sha256):
            raise _LookAgainError
        declared = FileSession.objects.select_for_update().get(pk=session.pk)
        if assemble_if_whole(declared):
            enqueue_finish(declared.pk)
    return declared


def _copied(owner: AbstractBaseUser, offer: Offer, known: FileSession) -> FileSession:
    """A session of its own for content that the owner has under another name, or for another
    form: nothing is sent.

    So a folder keeps all its paths, even where two of its files are equal.
    """
    session = _new_session(owner, offer)
    session.received_count = session.plan.total
    session.received = Bitmap.full(session.plan.total).to_bytes()
    session.status = SessionStatus.COMPLETED
    stored = StoredFile.objects.filter(sessions=known.pk).first()
    if stored is None:
        raise _LookAgainError
    try:
        # Under its new name, or in its new scope, it may not be taken as it was before.
        validate(lambda: stored_content(session, stored))
    except FileNotFoundError:
        raise _LookAgainError from None
    reach(Failpoint.SESSION_COPY)
    with synced_transaction():
        # Under its lock, so that it is not deleted now: as a verifier takes known content.
        session.stored_file = (
            StoredFile.objects.select_for_update()
            .filter(sha256=offer.sha256, state=StoredFile.State.LIVE)
            .first()
        )
        current = _complete_by_hash(owner, offer)
        if session.stored_file is None or current is None or offer.is_met_by(current):
            raise _LookAgainError
        session.save(force_insert=True)
        record(session.pk, EventKind.OPENED)
        record(session.pk, EventKind.COMPLETED)
        usage.add(session.owner_id, 1, session.plan.size)
        check_quota(owner)
    announce_completed(session)
    return session


def _created(
    owner: AbstractBaseUser, offer: Offer, parts: Sequence[FileSession] = ()
) -> FileSession:
    # What is joined gets its bytes, and needs room for them, later.
    size = 0 if parts else offer.size or 0
    check_room(size)
    session = _new_session(owner, offer)
    # Staging first: once the row is there, chunks may come. An orphan of a crash is swept.
    store = prepared_store()
    try:
        store.create(session.pk, size, synced=each_chunk_is_synced())
        reach(Failpoint.SESSION_INSERT)
        with acknowledging_transaction():
            _take_key(owner, offer)
            session.save(force_insert=True)
            record(session.pk, EventKind.OPENED)
            if session.status == SessionStatus.ASSEMBLING:
                record(session.pk, EventKind.RECEIVED)
            if parts:
                JoinedPart.objects.bulk_create(
                    JoinedPart(whole=session, position=position, part_id=part.pk)
                    for position, part in enumerate(parts)
                )
                enqueue_finish(session.pk)
            else:
                _look_again_if_complete(owner, offer)
            check_quota(owner)
    except (IntegrityError, _LookAgainError, QuotaExceeded, StorageFull, StorageUnavailable):
        store.discard(session.pk)
        raise
    if session.status == SessionStatus.ASSEMBLING and not parts:
        # A validator that is down delays: it is begun, and recovery asks again.
        with suppress(Unavailable):
            finish(session.pk)
        return reread(session)
    return session


def _look_again_if_complete(owner: AbstractBaseUser, offer: Offer) -> None:
    """It may have been open while we looked for complete ones, and complete while for open ones."""
    if _complete_by_hash(owner, offer):
        raise _LookAgainError


def _new_session(owner: AbstractBaseUser, offer: Offer) -> FileSession:
    """Unsaved. Raises TicketExpired where none may be begun."""
    if not offer.admission.may_open:
        raise TicketExpired(
            "This page is too old to begin an upload. Nothing is lost: load it anew, and choose "
            "the file again."
        )
    config = conf.current()
    now = timezone.now()
    session = FileSession(
        id=uuid4(),
        owner_id=owner.pk,
        size=offer.size,
        chunk_size=grown_chunk_size(offer.size or 0, offer.chunk_size or config.chunk_size),
        sha256=offer.sha256,
        resume_key=offer.resume_key,
        mime_type=offer.mime_type,
        scope=offer.scope,
        role=offer.role,
        client_metadata=offer.client_metadata,
        status=_first_status(offer),
        created_at=now,
        updated_at=now,
        expires_at=now + config.session_lifetime,
    )
    session.set_name(offer.filename, offer.folder)
    return session


def _first_status(offer: Offer) -> SessionStatus:
    """A file of 0 bytes has no last chunk to wait for, and a whole has none at all."""
    is_all_in = offer.role == Role.WHOLE or (offer.size == 0 and offer.role != Role.PART)
    return SessionStatus.ASSEMBLING if is_all_in else SessionStatus.ACTIVE


def _take_key(owner: AbstractBaseUser, offer: Offer) -> None:
    """From an open session that declares another hash; it stays resumable by that."""
    if offer.resume_key and offer.sha256:
        holders = FileSession.objects.owned_by(owner).open().filter(scope=offer.scope)
        holders.filter(size=offer.size, resume_key=offer.resume_key).exclude(
            sha256__in=["", offer.sha256]
        ).update(resume_key="")
