"""What each user's files add up to, kept by whoever adds or removes one, within its transaction.

The row of a user is the last that a transaction locks, so that none waits for another in a circle.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Count, F, Sum, Value
from django.db.models.functions import Greatest

from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus, Usage

from .batches import rows_in_batches

#: Files and bytes.
Sums = tuple[int, int]


def usage_of(owner: AbstractBaseUser) -> Usage:
    """Zeros, unsaved, for who has never completed a file."""
    return Usage.objects.filter(pk=owner.pk).first() or Usage(owner_id=owner.pk)


def add(owner_id: Any, files: int, bytes_: int) -> None:
    """Count so many files and bytes more, or less where they are negative. In a transaction.

    Never goes below zero: a sum that was too low is the sweep's to mend, and no reason to refuse.
    """
    _ensure(owner_id)
    Usage.objects.filter(pk=owner_id).update(
        stored_files=Greatest(F("stored_files") + files, Value(0)),
        stored_bytes=Greatest(F("stored_bytes") + bytes_, Value(0)),
    )


def locked(owner_id: Any) -> Usage:
    """The row of the user, made where there is none, and theirs until the transaction ends."""
    _ensure(owner_id)
    return Usage.objects.select_for_update().get(pk=owner_id)


def drifted() -> Iterator[Any]:
    """Ids of the users whose row does not say what their files add up to, at a first look."""
    for batch in rows_in_batches(get_user_model().objects.only("pk")):
        ids = [user.pk for user in batch]
        actual, kept = _actual(ids), _kept(ids)
        yield from (pk for pk in ids if actual.get(pk, (0, 0)) != kept.get(pk, (0, 0)))


def recount(owner_id: Any) -> bool:
    """Have the row say what there is; whether it said something else.

    Whoever completes or deletes a file meanwhile waits for the row's lock, or has been waited for.
    """
    reach(Failpoint.USAGE_RECOUNT)
    with transaction.atomic():
        row = locked(owner_id)
        files, bytes_ = _actual([owner_id]).get(owner_id, (0, 0))
        if (row.stored_files, row.stored_bytes) == (files, bytes_):
            return False
        Usage.objects.filter(pk=owner_id).update(stored_files=files, stored_bytes=bytes_)
    return True


def _ensure(owner_id: Any) -> None:
    Usage.objects.bulk_create([Usage(owner_id=owner_id)], ignore_conflicts=True)


def _actual(owner_ids: list[Any]) -> dict[Any, Sums]:
    rows = (
        FileSession.objects.filter(
            owner__in=owner_ids, status=SessionStatus.COMPLETED, trashed_at=None
        )
        .values_list("owner")
        .annotate(Count("pk"), Sum("size"))
    )
    return {owner_id: (files, bytes_) for owner_id, files, bytes_ in rows}


def _kept(owner_ids: list[Any]) -> dict[Any, Sums]:
    rows = Usage.objects.filter(pk__in=owner_ids)
    return {row.pk: (row.stored_files, row.stored_bytes) for row in rows}
