"""A whole file at once, from bytes that are here already: a plain form's, a script's."""

from collections.abc import Callable

from django.contrib.auth.models import AbstractBaseUser

from uploads.core.bodies import ByteSource
from uploads.models import FileSession

from .completing import complete
from .finishing import finish
from .opening import Offer, Outcome, open_session
from .receiving import receive_chunk

#: Of two equal files in one form the second comes round once; a disk that damages what is verified
#: could bring it round for ever.
_ROUNDS = 3

#: What is read from this offset of the file on.
SourceAt = Callable[[int], ByteSource]
Sent = tuple[Outcome, FileSession]


def send_whole(owner: AbstractBaseUser, offer: Offer, source_at: SourceAt) -> Sent:
    """A handshake, the chunks that are missing, complete. What is known costs nothing.

    The session is being verified then, or has been. Raises what these raise.
    """
    sent = _sent(owner, offer, source_at)
    for _ in range(_ROUNDS):
        if offer.is_met_by(sent[1]):
            break
        # Open already under another name, which it keeps. Once it is verified, which is not left
        # to the background here, this one gets an entry of its own.
        finish(sent[1].pk)
        sent = _sent(owner, offer, source_at)
    return sent


def _sent(owner: AbstractBaseUser, offer: Offer, source_at: SourceAt) -> Sent:
    outcome, session = open_session(owner, offer)
    for index in session.bitmap.missing():
        session = receive_chunk(session, index, source_at(session.plan.offset(index))).session
    return outcome, complete(session)
