"""`complete`: the client's word that it has sent everything."""

from django.db.models import F

from uploads.errors import ChunksMissing, HashConflict, PartOnly
from uploads.models import FileSession, Role, SessionStatus

from .access import reread
from .background import enqueue_finish
from .recovery import recover_if_stuck
from .sizing import settle_size
from .transitions import declare, move, one_open_session, refusal


def complete(session: FileSession, sha256: str = "") -> FileSession:
    """Start the verification if it hasn't begun; the session as it is then. Idempotent.

    `sha256` (lowercase hex, or empty) declares the file's hash where the handshake did not.
    Raises ChunksMissing, HashConflict (another hash is declared, or another open session has
    this one) or the refusal of the session's state. Of a session without a size, what has come is
    the whole file.
    """
    if sha256 and session.sha256 and sha256 != session.sha256:
        raise HashConflict(
            f"This upload is declared to have the SHA-256 {session.sha256}. If the file has "
            "changed, cancel this upload and begin a new one.",
            sha256=session.sha256,
        )
    if session.status == SessionStatus.COMPLETED:
        return session
    if session.status == SessionStatus.ASSEMBLING:
        return recover_if_stuck(_declared_late(session, sha256))
    if session.status != SessionStatus.ACTIVE:
        raise refusal(session)
    if session.role == Role.PART:
        raise PartOnly(
            "This upload is a part of a larger file: it does not become one of its own. Join it "
            "with the other parts, or cancel it."
        )
    session = settle_size(session)
    if session.status != SessionStatus.ACTIVE:
        return complete(session, sha256)
    if session.received_count < session.plan.total:
        raise _chunks_missing(session)
    return _assemble(session, sha256)


def _chunks_missing(session: FileSession) -> ChunksMissing:
    missing = session.bitmap.missing()
    return ChunksMissing(
        f"{len(missing)} of {session.plan.total} chunks are missing. Send those named in "
        "`missing`, then complete again.",
        missing=missing,
    )


def _assemble(session: FileSession, sha256: str) -> FileSession:
    with one_open_session(sha256):
        moved = move(
            session.pk,
            SessionStatus.ACTIVE,
            SessionStatus.ASSEMBLING,
            only_if={"received_count": session.plan.total, "sha256": session.sha256},
            sha256=sha256 or F("sha256"),
        )
        if moved:
            enqueue_finish(session.pk)
    current = reread(session)
    if moved and current.status in {SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}:
        return current
    # The verifier has ended already, or somebody else was first: then what they did decides.
    return complete(current, sha256)


def _declared_late(session: FileSession, sha256: str) -> FileSession:
    """An assembling session with its hash declared, if it had none."""
    if not sha256 or session.sha256:
        return session
    with one_open_session(sha256):
        declare(session.pk, sha256)
    # Declared by now, by us or by another; or ended meanwhile.
    return complete(reread(session), sha256)
