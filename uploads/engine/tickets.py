"""Tickets: a page's word to the handshake of what an upload is for, and what may come in.

Signed by the server and bound to its user, so that a page can carry it and nobody make one up.
"""

import time

from django.contrib.auth.models import AbstractBaseUser
from django.core.signing import BadSignature, Signer

from uploads import conf
from uploads.errors import TicketInvalid

from .admitting import Admission

_SALT = "uploads.ticket"
_HOUR = 3600


def issue_ticket(owner: AbstractBaseUser, admission: Admission) -> str:
    return Signer(salt=_SALT).sign_object(
        {
            "user": str(owner.pk),
            "at": int(time.time()),
            "scope": admission.scope,
            "max_size": admission.max_size,
            "extensions": admission.extensions,
            "types": admission.types,
        },
        compress=True,
    )


def read_ticket(owner: AbstractBaseUser, ticket: str) -> Admission:
    """What the ticket admits. Beyond UPLOADS["TICKET_HOURS"] it begins nothing, and still finds.

    Raises TicketInvalid for one that is forged, cut off, or another user's.
    """
    try:
        told = Signer(salt=_SALT).unsign_object(ticket)
    except BadSignature as error:
        raise _invalid() from error
    if told["user"] != str(owner.pk):
        raise _invalid()
    return Admission(
        scope=told["scope"],
        max_size=told["max_size"],
        extensions=tuple(told["extensions"]),
        types=tuple(told["types"]),
        may_open=time.time() - told["at"] < conf.current().ticket_hours * _HOUR,
    )


def _invalid() -> TicketInvalid:
    return TicketInvalid(
        "`ticket` is none that this server has made for you. Load the page of the form anew, and "
        "choose the file again: nothing is lost.",
        field="ticket",
    )
