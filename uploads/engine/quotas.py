"""What one person may have here: bytes, files, and unfinished uploads.

What is reserved counts like what is stored: an unfinished upload with its declared size, or with
what has come of it where that is not declared; and what was deleted a moment ago, until it cannot
be brought back. The check comes last in the transaction that adds something, under the lock of the
person's row (`usage`): of two at once, the second sees what the first has added.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce

from uploads import conf
from uploads.errors import QuotaExceeded
from uploads.models import (
    FileSession,
    FileSessionQuerySet,
    JoinedPart,
    Role,
    SessionStatus,
    Usage,
)

from . import usage


@dataclass(frozen=True, slots=True)
class Quota:
    """What a person may have; None for no limit."""

    #: Of files and unfinished uploads together.
    bytes: int | None
    #: The same, counted.
    files: int | None
    #: Unfinished uploads.
    uploads: int | None

    @property
    def is_none(self) -> bool:
        return self.bytes is None and self.files is None and self.uploads is None


@dataclass(frozen=True, slots=True)
class _Used:
    bytes: int
    files: int
    uploads: int


def quota_of(owner: AbstractBaseUser) -> Quota:
    """The general one, each part of it replaced by the most generous of the person's groups."""
    config = conf.current()
    general = (config.quota_bytes, config.quota_files, config.quota_uploads)
    limits = dict(zip(conf.QUOTAS, general, strict=True))
    groups = getattr(owner, "groups", None)
    if config.group_quotas and groups is not None:
        names = set(groups.filter(name__in=config.group_quotas).values_list("name", flat=True))
        quotas = [config.group_quotas[name] for name in names]
        for key in limits:
            given = [quota[key] for quota in quotas if key in quota]
            if given:
                limits[key] = _most_generous(given)
    return Quota(*limits.values())


def bytes_used(owner: AbstractBaseUser) -> int:
    """Bytes that count towards the quota of `owner` now."""
    return _used(owner, usage.usage_of(owner)).bytes


def check_quota(owner: AbstractBaseUser) -> None:
    """Raises QuotaExceeded when what there is now, what this transaction has added included, is
    more than the person may have. In a transaction, which then is to be rolled back.
    """
    quota = quota_of(owner)
    if quota.is_none:
        return
    used = _used(owner, usage.locked(owner.pk))
    if quota.uploads is not None and used.uploads > quota.uploads:
        raise QuotaExceeded(
            f"You may have {quota.uploads} unfinished uploads at once. Nothing was changed: finish "
            "or cancel some of them, then send this again.",
            limit=quota.uploads,
            quota="uploads",
        )
    if quota.files is not None and used.files > quota.files:
        raise _exceeded("files", quota.files, used.files)
    if quota.bytes is not None and used.bytes > quota.bytes:
        raise _exceeded("bytes", quota.bytes, used.bytes)


def check_quota_of(session: FileSession) -> None:
    """`check_quota` for an upload of unknown size, which takes more as it comes. Else nothing: its
    size has been counted since it was declared.
    """
    if session.size is None:
        check_quota(session.owner)


def _exceeded(what: str, limit: int, used: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"You may have {limit} {what} here, finished and unfinished together; with this there "
        f"would be {used}. Nothing was changed: delete files, or cancel uploads, then send this "
        "again. What was deleted counts until it cannot be brought back.",
        limit=limit,
        quota=what,
        used=used,
    )


def _most_generous(limits: Iterable[int | None]) -> int | None:
    given = list(limits)
    return None if None in given else max(limit for limit in given if limit is not None)


def _used(owner: AbstractBaseUser, kept: Usage) -> _Used:
    open_ones, reserved = _sums(_open(owner))
    completed = FileSession.objects.trash_of(owner).filter(status=SessionStatus.COMPLETED)
    trashed, restorable = _sums(completed)
    return _Used(
        bytes=kept.stored_bytes + reserved + restorable,
        files=kept.stored_files + open_ones + trashed,
        uploads=open_ones,
    )


def _open(owner: AbstractBaseUser) -> FileSessionQuerySet:
    """Unfinished uploads, but for the parts of a whole that counts with all its bytes already."""
    joined = JoinedPart.objects.filter(
        whole__owner_id=owner.pk, whole__status=SessionStatus.ASSEMBLING, whole__size__isnull=False
    )
    sessions = FileSession.objects.owned_by(owner).open()
    return sessions.exclude(role=Role.PART, pk__in=joined.values("part_id"))


def _sums(sessions: FileSessionQuerySet) -> tuple[int, int]:
    """How many there are, and their bytes."""
    # While its size is unknown, all chunks of an upload are whole ones.
    came = F("received_count") * F("chunk_size") + F("tail_length")
    sums = sessions.aggregate(count=Count("pk"), bytes=Sum(Coalesce(F("size"), came)))
    return sums["count"], sums["bytes"] or 0
