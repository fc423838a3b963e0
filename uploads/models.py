"""The rows of an upload: its session, its received chunks, and the stored content.

State changes are the engine's alone (`uploads.engine`); here are only shapes and constraints.
"""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from uploads.core.bitmap import Bitmap
from uploads.core.filenames import MAX_FILENAME_LENGTH
from uploads.core.plan import ChunkPlan


class SessionStatus(models.TextChoices):
    ACTIVE = "active"
    ASSEMBLING = "assembling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


#: A session in one of these will still become content, so a handshake finds it again.
OPEN_STATUSES = (SessionStatus.ACTIVE, SessionStatus.ASSEMBLING)


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
        """The only way from a request to sessions: nobody else's exist (P9)."""
        return self.filter(owner=user)

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
    #: Bytes. Null while the client has not said (streams of unknown length).
    size = models.BigIntegerField(null=True)
    chunk_size = models.BigIntegerField()
    #: Declared by the client, or empty; once completed, the one the server computed.
    sha256 = models.CharField(max_length=64, blank=True, default="")
    #: The client's own key, to find the session before the hash is known; or empty.
    resume_key = models.CharField(max_length=255, blank=True, default="")
    mime_type = models.CharField(max_length=255, blank=True, default="")
    status = models.CharField(
        max_length=10, choices=SessionStatus, default=SessionStatus.ACTIVE, editable=False
    )
    received = models.BinaryField(default=b"", editable=False)
    received_count = models.PositiveIntegerField(default=0, editable=False)
    #: Why it failed, in a sentence for people.
    error = models.TextField(blank=True, default="", editable=False)
    stored_file = models.ForeignKey(
        StoredFile, null=True, editable=False, on_delete=models.PROTECT, related_name="sessions"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    #: The last chunk, handshake or change of state; a verifier at work moves it too.
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False)

    objects = FileSessionQuerySet.as_manager()

    class Meta:
        constraints = [
            # One open session for each content, and for each client's own key.
            models.UniqueConstraint(
                fields=["owner", "size", "sha256"],
                condition=Q(status__in=["active", "assembling"]) & ~Q(sha256=""),
                name="uploads_one_open_by_hash",
            ),
            models.UniqueConstraint(
                fields=["owner", "size", "resume_key"],
                condition=Q(status__in=["active", "assembling"]) & ~Q(resume_key=""),
                name="uploads_one_open_by_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=SessionStatus.values), name="uploads_session_status"
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
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="uploads_by_owner"),
            models.Index(fields=["status", "updated_at"], name="uploads_by_status"),
            models.Index(fields=["owner", "sha256"], name="uploads_by_hash"),
        ]

    def __str__(self) -> str:
        return f"{self.filename} ({self.status})"

    @property
    def plan(self) -> ChunkPlan:
        """Raises ValueError while the size is unknown."""
        if self.size is None:
            raise ValueError("the size of this session is not known yet")
        return ChunkPlan(self.size, self.chunk_size)

    @property
    def bitmap(self) -> Bitmap:
        return Bitmap(bytes(self.received), self.plan.total)

    @property
    def received_bytes(self) -> int:
        plan = self.plan
        if not self.received_count:
            return 0
        return plan.bytes_in(self.received_count, with_last=plan.total - 1 in self.bitmap)

    @property
    def progress(self) -> float:
        """Per cent of the bytes received, 0 to 100, rounded down to one decimal."""
        if self.status == SessionStatus.COMPLETED or self.size == 0:
            return 100.0
        return self.received_bytes * 1000 // (self.size or 1) / 10

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


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def usable(self) -> Self:
        now = timezone.now()
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            revoked_at__isnull=True,
            owner__is_active=True,
        )


class AccessToken(models.Model):
    """A personal token for scripts. Only its SHA-256 is kept: it is random, so needs no salt."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="upload_tokens"
    )
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="uploads_token_expires_later",
            ),
        ]

    def __str__(self) -> str:
        return self.name
