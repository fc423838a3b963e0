"""Content tickets: the main host's word to the download host that somebody may have one content.

Whoever holds one needs nothing else, so it is good for one upload of one person, for minutes, and
only for as long as both are there.
"""

from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner

from uploads.errors import LinkExpired, NotFound, SessionNotFound
from uploads.models import FileSession

from .access import NO_SUCH_UPLOAD, get_completed_session

#: Not that of the tickets of forms: neither is taken for the other.
_SALT = "uploads.content-ticket"
#: Enough for a slow redirect and a download manager that begins late. What has begun goes on.
SECONDS = 300


def issue_content_ticket(owner: AbstractBaseUser, session: FileSession) -> str:
    """Of letters, digits, `-`, `_` and `:`, so that it is a part of a path as it is."""
    signer = TimestampSigner(salt=_SALT)
    return signer.sign_object({"user": str(owner.pk), "session": str(session.pk)})


def read_content_ticket(ticket: str) -> tuple[AbstractBaseUser, FileSession]:
    """Whose content it is, and of which upload. The database is asked each time.

    Raises NotFound for a ticket that is none of ours, LinkExpired after SECONDS, SessionNotFound
    when the user is no longer active, and whatever `get_completed_session` raises.
    """
    try:
        told = TimestampSigner(salt=_SALT).unsign_object(ticket, max_age=SECONDS)
    except SignatureExpired as error:
        raise LinkExpired(
            f"This address was good for {SECONDS // 60} minutes. Ask the upload's own address, "
            "`urls.content`, again: it leads to a new one, and a download that was begun goes on "
            "where it was."
        ) from error
    except BadSignature as error:
        raise NotFound("Only files are served here, at the addresses made for them.") from error
    owner = get_user_model()._default_manager.filter(pk=told["user"], is_active=True).first()
    if owner is None:
        raise SessionNotFound(NO_SUCH_UPLOAD)
    return owner, get_completed_session(owner, UUID(told["session"]))
