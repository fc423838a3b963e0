"""From an id that somebody sent to a session that is theirs."""

from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from uploads.errors import ContentNotReady, SessionGone, SessionNotFound
from uploads.models import FileSession, SessionStatus

from .rows import find, find_session_and_chunk
from .transitions import expire_if_due, refusal

NO_SUCH_UPLOAD = "You have no upload with this id. Check the address, or begin one by a handshake."


def get_session(owner: AbstractBaseUser, session_id: UUID) -> FileSession:
    """The owner's session, in whatever state. Raises SessionNotFound, also for others' (P9)."""
    session = find(FileSession, session_id)
    if session is None or not session.is_of(owner):
        raise SessionNotFound(NO_SUCH_UPLOAD)
    return expire_if_due(session)


def get_present_session(owner: AbstractBaseUser, session_id: UUID) -> FileSession:
    """As get_session; raises SessionGone as well, when it was cancelled or has expired."""
    session = get_session(owner, session_id)
    error = refusal(session)
    if isinstance(error, SessionGone):
        raise error
    return session


def get_completed_session(owner: AbstractBaseUser, session_id: UUID) -> FileSession:
    """As get_present_session, for its content. Raises SessionFailed or ContentNotReady as well."""
    session = get_present_session(owner, session_id)
    if session.status == SessionStatus.FAILED:
        raise refusal(session)
    if session.status != SessionStatus.COMPLETED:
        raise ContentNotReady(
            f"This upload is {session.status}; its content is served once it is completed.",
            state=session.status,
        )
    return session


def reread(session: FileSession) -> FileSession:
    """The session as it is now. Raises SessionNotFound when it was deleted meanwhile."""
    current = find(FileSession, session.pk)
    if current is None:
        raise SessionNotFound(NO_SUCH_UPLOAD)
    return expire_if_due(current)


def reread_with_chunk(session: FileSession, index: int) -> tuple[FileSession, bytes | None]:
    """As `reread`, with the fingerprint of chunk `index` if that is stored: in one query."""
    current, stored = find_session_and_chunk(session.pk, index)
    if current is None:
        raise SessionNotFound(NO_SUCH_UPLOAD)
    return expire_if_due(current), stored
