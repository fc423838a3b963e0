"""Personal access tokens: shown once, kept as a hash."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from uploads.models import AccessToken

#: Says at a glance, in a log or a leak scanner, what kind of secret this is.
PREFIX = "hft_"
#: Usable tokens of one person who makes them on the page. More are no longer told apart by anyone.
MAX_USABLE = 100


def issue_token(owner: AbstractBaseUser, name: str, lifetime: timedelta | None = None) -> str:
    """A new token in clear, never to be seen again. Without `lifetime` it does not expire."""
    token = PREFIX + secrets.token_urlsafe(32)
    now = timezone.now()
    AccessToken.objects.create(
        owner_id=owner.pk,
        name=name,
        digest=_digest(token),
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
    )
    return token


def issue_own_token(
    owner: AbstractBaseUser, name: str, lifetime: timedelta | None = None
) -> str | None:
    """As `issue_token`; None when the owner has MAX_USABLE usable ones already."""
    with transaction.atomic():
        # Locked, so that requests at the same moment are counted one after the other.
        get_user_model().objects.select_for_update().get(pk=owner.pk)
        if AccessToken.objects.usable().filter(owner=owner.pk).count() >= MAX_USABLE:
            return None
        return issue_token(owner, name, lifetime)


def revoke(tokens: QuerySet[AccessToken]) -> int:
    """Make these tokens useless from now on; how many were not so already."""
    return tokens.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())


def find_owner(token: str) -> AbstractBaseUser | None:
    """The active user whose usable token this is."""
    found = AccessToken.objects.usable().select_related("owner").filter(digest=_digest(token))
    return next((row.owner for row in found), None)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
