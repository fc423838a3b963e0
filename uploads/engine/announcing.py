"""Telling receivers of signals what has been committed; none of them can undo it."""

from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession
from uploads.signals import upload_completed, upload_consumed, upload_failed


def announce_completed(session: FileSession) -> None:
    reach(Failpoint.FINISH_SIGNAL)
    upload_completed.send_robust(sender=FileSession, session=session)


def announce_failed(session: FileSession, error: str) -> None:
    reach(Failpoint.FAILURE_SIGNAL)
    upload_failed.send_robust(sender=FileSession, session=session, error=error)


def announce_consumed(session: FileSession) -> None:
    reach(Failpoint.CLAIM_SIGNAL)
    upload_consumed.send_robust(sender=FileSession, session=session)
