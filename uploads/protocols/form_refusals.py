"""Refusals of a plain form in words for people: what happened, what was lost (nothing), what to do.

Scripts read `detail`, which is for those who write them.
"""

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from uploads import conf, errors
from uploads.errors import UploadError

_SENTENCES: dict[type[UploadError], Promise] = {
    errors.NoFileChosen: _(
        "Choose a file first, then send it. Nothing was sent and nothing was lost."
    ),
    errors.NotAuthenticated: _(
        "You were signed out, so the files were not taken. Nothing else was lost: sign in, choose "
        "them again and send them."
    ),
    errors.CsrfFailed: _(
        "The form was too old: you may have signed in or out in another tab. Nothing was lost: "
        "choose the files here again and send them."
    ),
    errors.InvalidFilename: _(
        "A file has a name that cannot be used: it is a path, has more than 255 characters, or "
        "characters that cannot be shown. None of the files was taken and nothing was lost: rename "
        "it and send them again."
    ),
    errors.LengthMismatch: _(
        "The connection ended before all of the form had arrived, so none of its files was taken. "
        "Nothing else was lost: choose them again and send them."
    ),
    errors.TooLarge: _(
        "This is too large: a file, or all files of one form together, may have %(limit)s. Nothing "
        "was lost: choose smaller ones, or send several one by one."
    ),
    errors.QuotaExceeded: _(
        "You have no room left here: with this you would have more than you may. Nothing was lost: "
        "delete files, or cancel unfinished uploads, and send them again."
    ),
    errors.FileTypeNotAllowed: _(
        "A file of this kind, or of this name, is not taken here. Nothing was lost: choose another "
        "one, or give it its right name."
    ),
    errors.StorageFull: _(
        "The server has no room left. Nothing was lost: what is here stays. Send the rest again "
        "once there is room."
    ),
    errors.Unavailable: _(
        "The server could not take files just now. Nothing was lost: wait a moment, choose them "
        "again and send them."
    ),
    errors.InvalidRequest: _(
        "The form could not be read, so none of its files was taken. Nothing was lost: choose them "
        "again and send them."
    ),
    UploadError: _(
        "The server could not take this. Nothing was lost: what is here stays. Choose the files "
        "again and send them."
    ),
}


def sentence_for(error: UploadError) -> str:
    """What a person is told, with the name of the file that it is about, where that is known."""
    kinds = (kind for kind in type(error).__mro__ if kind in _SENTENCES)
    values = {"limit": filesizeformat(conf.current().max_file_size)}
    sentence = (
        gettext(error.detail)
        if isinstance(error, errors.ContentRefused)
        else str(_SENTENCES[next(kinds)]) % values
    )
    name = error.members.get("filename")
    if not name:
        return sentence
    return gettext("“%(name)s”: %(sentence)s") % {"name": name, "sentence": sentence}
