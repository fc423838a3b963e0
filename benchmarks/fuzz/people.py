"""Who asks: made in one go by the server's own code, before it has anything else to do.

`manage.py shell -c "from benchmarks.fuzz.people import make; make()"` prints them as JSON.
"""

import json
import sys
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.contrib.sessions.backends.db import SessionStore
from django.utils.crypto import get_random_string

from examples.topic_collections.models import TopicCollection
from uploads.engine.tokens import issue_token

PASSWORD = "a-password-for-the-fuzz"
#: Two that have uploads, and one that may use the admin.
NAMES = ("alice", "bob", "root")


def make() -> None:
    """Accounts, each with a token, a browser in which it is signed in, and a collection."""
    json.dump({name: _person(name, is_staff=name == "root") for name in NAMES}, sys.stdout)


def _person(name: str, *, is_staff: bool) -> dict[str, Any]:
    users = get_user_model()
    user, created = users.objects.get_or_create(
        username=name, defaults={"is_staff": is_staff, "is_superuser": is_staff}
    )
    if created:
        TopicCollection.objects.create(title="Fuzz", curator=user, custom_seeds="http://a.example")
    # What a form of the admin may have changed.
    user.is_active, user.is_staff, user.is_superuser = True, is_staff, is_staff
    user.set_password(PASSWORD)
    user.save()
    return {
        "pk": user.pk,
        "token": issue_token(user, "fuzz"),
        "expired": issue_token(user, "expired", timedelta(microseconds=1)),
        "session": _signed_in(user),
        # Any 32 letters and digits are a secret that Django takes from the cookie.
        "csrf": get_random_string(32),
        "collections": list(
            TopicCollection.objects.filter(curator=user).values_list("pk", flat=True)
        ),
        "tokens": [_spare(user)],
    }


def _spare(user: Any) -> int:
    """A token that may be revoked."""
    issue_token(user, "spare")
    return int(user.upload_tokens.filter(name="spare").latest("pk").pk)


def _signed_in(user: Any) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    # The one that looks at passwords comes last.
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
