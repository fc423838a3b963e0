"""Plain files of a form, as browsers without JavaScript send them, on the way of all files."""

import hashlib
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from uploads.core.bodies import ByteSource
from uploads.core.filenames import clean_filename
from uploads.engine.admitting import Admission
from uploads.engine.finishing import finish
from uploads.engine.opening import Offer
from uploads.engine.sending import send_whole
from uploads.errors import (
    ContentRefused,
    FileTypeNotAllowed,
    InvalidRequest,
    QuotaExceeded,
    StorageFull,
    UploadError,
)
from uploads.models import FileSession
from uploads.protocols import fields

_SENTENCES: dict[type[UploadError], Promise] = {
    StorageFull: _("The server has no room left. Nothing was lost: try again once there is room."),
    QuotaExceeded: _(
        "You have no room left here. Nothing was lost: delete files, or cancel unfinished uploads, "
        "and choose it again."
    ),
    FileTypeNotAllowed: _(
        "A file of this kind, or of this name, is not taken here. Nothing was lost: choose another "
        "one, or give it its right name."
    ),
}
_BUSY = _("The server could not take the file just now. Nothing was lost: choose it again.")


def send_plain(
    owner: AbstractBaseUser, file: "UploadedFile[Any]", admission: Admission
) -> FileSession:
    """The session of `file`, verified. Raises ValidationError, in words for people."""
    offer = Offer(
        filename=clean_name(file),
        size=file.size or 0,
        sha256=_sha256(file),
        mime_type=declared_type(file),
        admission=admission,
    )
    try:
        session = send_whole(owner, offer, _from(file))[1]
        finish(session.pk)
    except UploadError as error:
        raise refusal_of(error) from error
    return session


def declared_type(file: "File[Any]") -> str:
    """The media type that its sender declares; empty where that is none.

    Django hands on whatever stands there: `text/html,x` is HTML to a browser, and nothing to us.
    """
    try:
        return fields.mime_type({"mime_type": getattr(file, "content_type", None)})
    except InvalidRequest:
        return ""


def clean_name(file: "File[Any]") -> str:
    """Raises ValidationError."""
    try:
        return clean_filename(file.name or "")
    except ValueError as reason:
        raise ValidationError(
            _("The file has a name that cannot be used: %(reason)s. Rename it, choose it again."),
            code="invalid_filename",
            params={"reason": _(str(reason))},
        ) from reason


def _sha256(file: "UploadedFile[Any]") -> str:
    digest = hashlib.sha256()
    for piece in file.chunks():
        digest.update(piece)
    return digest.hexdigest()


def _from(file: "UploadedFile[Any]") -> Callable[[int], ByteSource]:
    def source_at(offset: int) -> ByteSource:
        file.seek(offset)
        source: ByteSource = file
        return source

    return source_at


def refusal_of(error: UploadError) -> ValidationError:
    """What a form says of it."""
    return ValidationError(_sentence(error), code=error.code)


def _sentence(error: UploadError) -> Any:
    if isinstance(error, ContentRefused):
        return gettext(error.detail)
    kinds = (kind for kind in type(error).__mro__ if kind in _SENTENCES)
    return _SENTENCES.get(next(kinds, UploadError), _BUSY)
