"""The rows of an upload: its session, its received chunks, and the stored content.

State changes are the engine's alone (`uploads.engine`); here are only shapes and constraints.
"""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from uploads.core.bitmap import Bitmap
from uploads.core.filenames import (
    MAX_FILENAME_LENGTH,
    MAX_FOLDER_LENGTH,
    MAX_SEARCH_NAME_BYTES,
    joined,
    search_name,
)
from uploads.core.kinds import kind_of
from uploads.core.plan import MAX_CHUNKS, ChunkPlan

#: Characters of `FileSession.scope`.
MAX_SCOPE_LENGTH = 255


class SessionStatus(models.TextChoices):
    ACTIVE = "active"
    ASSEMBLING = "assembling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


#: A session in one of these will still become content, so a handshake finds it again.
OPEN_STATUSES = (SessionStatus.ACTIVE, SessionStatus.ASSEMBLING)


class FileKind(models.TextChoices):
    """What a file is to people. `uploads.core.kinds` tells which."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    OTHER = "other"


class Role(models.TextChoices):
    """What becomes of an upload once all its bytes are in."""

    #: It completes when its client says so, or when the hash that was declared can be checked.
    FILE = "file"
    #: It completes with its last byte.
    STREAM = "stream"
    #: It never completes: the whole that it is a part of takes its bytes.
    PART = "part"
    #: It takes no bytes itself: it is joined of parts (`uploads.engine.joining`).
    WHOLE = "whole"


class StoredFile(models.Model):
    """Complete, verified content. Its bytes lie in the store under (sha256, id)."""

    class State(models.TextChoices):
        #: The row is there, the bytes may be: a verifier is about to rename them.
        PENDING = "pending"
        LIVE = "live"
        #: No reference is left; the bytes go, then the row.
        DELETING = "deleting"
        #: Read again, the bytes were not those of `sha256` any more: never served.
        DAMAGED = "damaged"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    size = models.BigIntegerField(editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    #: When the bytes were last read and found to be those of `sha256`.
    verified_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sha256"], condition=Q(state="live"), name="uploads_one_live_copy"
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="uploads_stored_size"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "live", "deleting", "damaged"]),
                name="uploads_stored_state",
            ),
        ]
        # The longest unverified come first when content is read again.
        indexes = [models.Index(fields=["state", "verified_at"], name="uploads_stored_by_state")]

    def __str__(self) -> str:
        return f"{self.sha256} ({self.state})"


class FileSessionQuerySet(models.QuerySet["FileSession"]):
    def owned_by(self, user: object) -> Self:
        """The only way from a request to sessions: nobody else's exist (P9), nor trashed ones."""
        return self.filter(owner=user, trashed_at=None)

    def trash_of(self, user: object) -> Self:
        """What the user has deleted and may still restore."""
        return self.filter(owner=user, trashed_at__isnull=False, claimed_at=None)

    def claimable(self) -> Self:
        """Complete, and not taken by a form yet."""
        return self.filter(
            status=SessionStatus.COMPLETED,
            trashed_at=None,
            # Not joined: an UPDATE of these looks at the row itself once more when it has waited.
            stored_file__in=StoredFile.objects.filter(state=StoredFile.State.LIVE),
        )

    def open(self) -> Self:
        return self.filter(status__in=OPEN_STATUSES)

    def by_text(self, text: str) -> "FileSession | None":
        """The session whose id `text` is; None as well when it is no id."""
        try:
            return self.filter(pk=uuid.UUID(text)).first()
        except ValueError:
            return None

    def newer_than(self, session: "FileSession") -> Self:
        """What comes before `session` in a list that shows the newest first."""
        return self.filter(
            Q(created_at__gt=session.created_at)
            | Q(created_at=session.created_at, id__gt=session.pk)
        )

    def older_than(self, session: "FileSession") -> Self:
        """What comes after `session` in a list that shows the newest first."""
        return self.filter(
            Q(created_at__lt=session.created_at)
            | Q(created_at=session.created_at, id__lt=session.pk)
        )


class FileSession(models.Model):
    """One owner sending one file."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="upload_sessions"
    )
    filename = models.CharField(max_length=MAX_FILENAME_LENGTH)
    #: Where the file came from, relative, without a slash at either end: "photos/2026", or empty.
    folder = models.CharField(max_length=MAX_FOLDER_LENGTH, blank=True, default="")
    #: The path as it is searched and sorted.
    search_name = models.CharField(
        max_length=MAX_SEARCH_NAME_BYTES, blank=True, default="", editable=False
    )
    kind = models.CharField(max_length=10, choices=FileKind, default=FileKind.OTHER, editable=False)
    #: Bytes. Null while the client has not said (streams of unknown length).
    size = models.BigIntegerField(null=True)
    chunk_size = models.BigIntegerField()
    #: Declared by the client, or empty; once completed, the one the server computed.
    sha256 = models.CharField(max_length=64, blank=True, default="")
    #: The client's own key, to find the session before the hash is known; or empty.
    resume_key = models.CharField(max_length=255, blank=True, default="")
    mime_type = models.CharField(max_length=255, blank=True, default="")
    #: What it was made for: a form, its field and object (`uploads.engine.admitting`); or empty.
    scope = models.CharField(max_length=MAX_SCOPE_LENGTH, blank=True, default="", editable=False)
    role = models.CharField(max_length=10, choices=Role, default=Role.FILE, editable=False)
    #: What its client said of it, in the form in which it gets it back; or empty.
    client_metadata = models.TextField(blank=True, default="", editable=False)
    status = models.CharField(
        max_length=10, choices=SessionStatus, default=SessionStatus.ACTIVE, editable=False
    )
    received = models.BinaryField(default=b"", editable=False)
    received_count = models.PositiveIntegerField(default=0, editable=False)
    #: What a stream has brought of the first missing chunk: a file in staging, so many of its bytes
    #: (0 for none), and their BLAKE3.
    tail_name = models.CharField(max_length=32, blank=True, default="", editable=False)
    tail_length = models.PositiveBigIntegerField(default=0, editable=False)
    tail_fingerprint = models.BinaryField(max_length=32, default=b"", editable=False)
    #: Bytes that were told to be in before a disk lost some of them: the file has at least so many.
    least_size = models.BigIntegerField(default=0, editable=False)
    #: Why it failed: one of the constant sentences of the engine, which the pages translate.
    error = models.TextField(blank=True, default="", editable=False)
    stored_file = models.ForeignKey(
        StoredFile, null=True, editable=False, on_delete=models.PROTECT, related_name="sessions"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    #: The last chunk, handshake or change of state; a verifier at work moves it too. Once
    #: completed, it stays the moment of completion.
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    #: When its owner deleted it. For a moment it may be restored; then it goes for good.
    trashed_at = models.DateTimeField(null=True, editable=False)
    #: When a form took it, which is once and for good: it is in the trash then, and stays there.
    claimed_at = models.DateTimeField(null=True, editable=False)

    objects = FileSessionQuerySet.as_manager()

    class Meta:
        constraints = [
            # One open session for each content, and for each client's own key, in each scope.
            models.UniqueConstraint(
                fields=["owner", "scope", "size", "sha256"],
                condition=Q(status__in=["active", "assembling"]) & ~Q(sha256=""),
                name="uploads_one_open_by_hash",
            ),
            models.UniqueConstraint(
                fields=["owner", "scope", "size", "resume_key"],
                condition=Q(status__in=["active", "assembling"]) & ~Q(resume_key=""),
                name="uploads_one_open_by_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=SessionStatus.values), name="uploads_session_status"
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="uploads_session_role"),
            models.CheckConstraint(
                condition=~Q(role="part") | ~Q(status__in=["assembling", "completed"]),
                name="uploads_part_never_completes",
            ),
            models.CheckConstraint(
                condition=Q(size__isnull=True) | Q(size__gte=0), name="uploads_session_size"
            ),
            models.CheckConstraint(condition=Q(chunk_size__gte=1), name="uploads_chunk_size"),
            # P1: complete means that there is content.
            models.CheckConstraint(
                condition=~Q(status="completed")
                | (Q(stored_file__isnull=False) & Q(size__isnull=False) & ~Q(sha256="")),
                name="uploads_completed_has_content",
            ),
            models.CheckConstraint(
                condition=Q(trashed_at__isnull=True) | Q(status="completed"),
                name="uploads_trashed_was_completed",
            ),
            models.CheckConstraint(
                condition=Q(claimed_at__isnull=True) | Q(trashed_at__isnull=False),
                name="uploads_claimed_is_gone",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="uploads_by_owner"),
            models.Index(fields=["status", "updated_at"], name="uploads_by_status"),
            models.Index(fields=["owner", "sha256"], name="uploads_by_hash"),
            # The orders of a list, each found by the value and the id of the row at a page's edge.
            # What a search and a filter look at is in the index too: rows that don't match are
            # passed over without being read.
            models.Index(
                fields=["owner", "status", "updated_at", "id", "kind", "search_name"],
                name="uploads_list_by_time",
            ),
            models.Index(
                fields=["owner", "status", "search_name", "id", "kind"],
                name="uploads_list_by_name",
            ),
            models.Index(
                fields=["owner", "status", "size", "id", "kind", "search_name"],
                name="uploads_list_by_size",
            ),
            models.Index(
                fields=["trashed_at"],
                condition=Q(trashed_at__isnull=False),
                name="uploads_trashed",
            ),
            models.Index(
                fields=["owner", "trashed_at", "id"],
                condition=Q(trashed_at__isnull=False),
                name="uploads_trash_of_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename} ({self.status})"

    def is_of(self, user: AbstractBaseUser) -> bool:
        """As `FileSessionQuerySet.owned_by`, of a row that is here."""
        return self.owner_id == user.pk and self.trashed_at is None

    @property
    def path(self) -> str:
        return joined(self.folder, self.filename)

    def set_name(self, filename: str, folder: str) -> None:
        """Give it this name, and all that follows from it. Needs `mime_type`; does not save."""
        self.filename = filename
        self.folder = folder
        self.search_name = search_name(self.path)
        self.kind = kind_of(filename, self.mime_type)

    @property
    def plan(self) -> ChunkPlan:
        """While the size is unknown, of the largest file that its chunks can hold."""
        if self.size is None:
            return ChunkPlan(self.chunk_size * MAX_CHUNKS, self.chunk_size)
        return ChunkPlan(self.size, self.chunk_size)

    @property
    def total_chunks(self) -> int | None:
        """None while the size is unknown."""
        return None if self.size is None else self.plan.total

    @property
    def bitmap(self) -> Bitmap:
        return Bitmap(bytes(self.received), self.plan.total)

    @property
    def is_whole(self) -> bool:
        """Whether every byte is in."""
        return self.size is not None and self.received_count == self.plan.total

    @property
    def completes_when_whole(self) -> bool:
        """Whether nobody need say that this is all."""
        return self.role != Role.PART and bool(self.sha256 or self.role == Role.STREAM)

    @property
    def received_bytes(self) -> int:
        """Of all chunks that are in, and of the tail."""
        plan = self.plan
        if not self.received_count:
            return self.tail_length
        with_last = plan.total - 1 in self.bitmap
        return plan.bytes_in(self.received_count, with_last=with_last) + self.tail_length

    @property
    def offset(self) -> int:
        """Bytes that are in from the beginning without a gap: here a stream goes on."""
        return min(self.plan.offset(self.bitmap.first_missing()) + self.tail_length, self.plan.size)

    @property
    def progress(self) -> float:
        """Per cent of the bytes received, 0 to 100, rounded down to one decimal; 0 of an unknown
        size.
        """
        if self.status == SessionStatus.COMPLETED or self.size == 0:
            return 100.0
        return self.received_bytes * 1000 // self.size / 10 if self.size else 0.0

    def is_quiet_for(self, time: timedelta) -> bool:
        return timezone.now() - self.updated_at > time


class FileChunk(models.Model):
    """One received chunk and the fingerprint of its bytes (P6, P4)."""

    session = models.ForeignKey(FileSession, on_delete=models.CASCADE, related_name="chunks")
    index = models.PositiveIntegerField()
    #: BLAKE3 of the chunk, 32 bytes.
    fingerprint = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "index"], name="uploads_chunk_once"),
        ]

    def __str__(self) -> str:
        return f"chunk {self.index} of {self.session_id}"


class JoinedPart(models.Model):
    """Which upload is which part of a whole. The row of the part itself may be gone before."""

    whole = models.ForeignKey(FileSession, on_delete=models.CASCADE, related_name="joined_parts")
    #: From 0.
    position = models.PositiveIntegerField()
    #: A part may be in several wholes, and more than once in one.
    part_id = models.UUIDField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["whole", "position"], name="uploads_part_position"),
        ]

    def __str__(self) -> str:
        return f"part {self.position} of {self.whole_id}"


class EventKind(models.TextChoices):
    OPENED = "opened"
    #: A handshake found it after it had been quiet.
    CONTINUED = "continued"
    #: Every chunk is in; its verification begins.
    RECEIVED = "received"
    #: The verifier found damaged chunks, whose number is the detail: they are missing again.
    REOPENED = "reopened"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    #: The detail is the old path.
    RENAMED = "renamed"
    TRASHED = "trashed"
    RESTORED = "restored"
    #: Its stored file was found damaged, and then whole again.
    DAMAGED = "damaged"
    MENDED = "mended"


class SessionEvent(models.Model):
    """What happened to a session, and when. Written by the transaction that made it happen."""

    #: Characters of a detail.
    MAX_DETAIL_LENGTH = 300

    session = models.ForeignKey(
        # Its index is the one below.
        FileSession,
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,
    )
    at = models.DateTimeField(default=timezone.now, editable=False)
    kind = models.CharField(max_length=10, choices=EventKind, editable=False)
    #: Values that belong to it: a number, an old name, two digests. Not for translation.
    detail = models.CharField(max_length=MAX_DETAIL_LENGTH, blank=True, default="", editable=False)

    class Meta:
        indexes = [models.Index(fields=["session", "at"], name="uploads_events")]

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"


class Usage(models.Model):
    """What a user's completed sessions, without trashed ones, add up to.

    Kept by the transactions that change it (`uploads.engine.usage`), so that it costs one row to
    show, however many files there are.
    """

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="upload_usage",
    )
    #: Sizes of the sessions: content that two of them share counts twice.
    stored_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    stored_files = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        verbose_name_plural = "usage"

    def __str__(self) -> str:
        return f"{self.stored_files} files, {self.stored_bytes} bytes"


class TokenScope(models.TextChoices):
    """What a token may do, in the order in which it is told. Each is a column of the token."""

    READ = "read"
    UPLOAD = "upload"
    DELETE = "delete"


#: What a browser session may do, and a token that was made without saying.
ALL_SCOPES = frozenset(TokenScope)


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def usable(self) -> Self:
        now = timezone.now()
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            revoked_at__isnull=True,
            owner__is_active=True,
        )


class AccessToken(models.Model):
    """A personal token for scripts. Only its SHA-256 is kept: it is random, so needs no salt.

    What it may do never changes: who has it knows what it is good for.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="upload_tokens"
    )
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: To the minute (`uploads.engine.tokens.NEWS`).
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    may_read = models.BooleanField(default=True, editable=False)
    may_upload = models.BooleanField(default=True, editable=False)
    may_delete = models.BooleanField(default=True, editable=False)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="uploads_token_expires_later",
            ),
            models.CheckConstraint(
                condition=Q(may_read=True) | Q(may_upload=True) | Q(may_delete=True),
                name="uploads_token_may_something",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        """As `AccessTokenQuerySet.usable`, of a row that is here; but for its owner."""
        return self.revoked_at is None and (
            self.expires_at is None or self.expires_at > timezone.now()
        )

    @property
    def scopes(self) -> frozenset[TokenScope]:
        return frozenset(scope for scope in TokenScope if getattr(self, f"may_{scope}"))
