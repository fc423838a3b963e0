"""Personal access tokens: shown once, kept as a hash."""

import hashlib
import logging
import secrets
import time
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from uploads.models import ALL_SCOPES, AccessToken, TokenScope

from .rows import find

logger = logging.getLogger("uploads.engine")

#: Says at a glance, in a log or a leak scanner, what kind of secret this is.
PREFIX = "hft_"
#: Usable tokens of one person who makes them on the page. More are no longer told apart by anyone.
MAX_USABLE = 100
#: A use is written down when the last one that was is so old: not with each of a thousand chunks.
NEWS = timedelta(minutes=1)
#: Seconds without another try after the database was too busy: else each request waited for it.
PAUSE = 60.0

_paused_until = 0.0


def issue_token(
    owner: AbstractBaseUser,
    name: str,
    lifetime: timedelta | None = None,
    scopes: Collection[TokenScope] = ALL_SCOPES,
) -> str:
    """A new token in clear, never to be seen again. Without `lifetime` it does not expire.

    `scopes` are one or more.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    now = timezone.now()
    AccessToken.objects.create(
        owner_id=owner.pk,
        name=name,
        digest=_digest(token),
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
        **{f"may_{scope}": scope in scopes for scope in TokenScope},
    )
    return token


def issue_own_token(
    owner: AbstractBaseUser,
    name: str,
    lifetime: timedelta | None = None,
    scopes: Collection[TokenScope] = ALL_SCOPES,
) -> str | None:
    """As `issue_token`; None when the owner has MAX_USABLE usable ones already."""
    with transaction.atomic():
        # Locked, so that requests at the same moment are counted one after the other.
        get_user_model().objects.select_for_update().get(pk=owner.pk)
        if AccessToken.objects.usable().filter(owner=owner.pk).count() >= MAX_USABLE:
            return None
        return issue_token(owner, name, lifetime, scopes)


def revoke(tokens: QuerySet[AccessToken]) -> int:
    """Make these tokens useless from now on; how many were not so already."""
    return tokens.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())


def find_token(token: str) -> AccessToken | None:
    """The usable token of an active user that this is; its `owner` is there."""
    found = find(AccessToken, _digest(token), by="digest")
    if found is None or not found.is_usable:
        return None
    owner = find(get_user_model(), found.owner_id)
    if owner is None or not owner.is_active:
        return None
    found.owner = owner
    return found


def note_use(token: AccessToken) -> None:
    """Write down that `token` is used now, unless that is no news. Never fails.

    For a moment at which the database was asked just now, and nothing is awaited: what waits for
    bytes has let go of its connection. What a busy database did not take comes with a later use.
    """
    global _paused_until  # noqa: PLW0603 (of the process, as the wait for its database is)
    now = timezone.now()
    if not _is_news(token, now - NEWS) or time.monotonic() < _paused_until:
        return
    due = Q(last_used_at=None) | Q(last_used_at__lte=now - NEWS)
    try:
        with transaction.atomic():
            AccessToken.objects.filter(due, pk=token.pk).update(last_used_at=now)
    except (DatabaseError, InterfaceError) as error:
        _paused_until = time.monotonic() + PAUSE
        logger.warning("The use of token %s was not written down: %s", token.pk, error)


def _is_news(token: AccessToken, before: datetime) -> bool:
    return token.last_used_at is None or token.last_used_at <= before


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
