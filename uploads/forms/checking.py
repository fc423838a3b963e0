"""The checks of every upload, for files that come another way: Django's own FileField."""

from typing import IO, Any, cast

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from uploads.core.filenames import clean_filename
from uploads.engine.inspecting import check_file, check_name
from uploads.errors import ContentRefused, FileTypeNotAllowed


def validate_uploaded_file(file: "File[Any]") -> None:
    """A validator for a `FileField`: what a plain form brings is looked at as uploads are.

    Its name, its declared type and its content, by the same settings. Raises ValidationError.
    """
    mime_type = getattr(file, "content_type", "") or ""
    try:
        name = clean_filename(file.name or "")
        check_name(name, mime_type)
        check_file(name, mime_type, cast("IO[bytes]", file))
    except ValueError as reason:
        raise ValidationError(
            _("The file has a name that cannot be used: %(reason)s. Rename it, choose it again."),
            code="invalid_filename",
            params={"reason": _(str(reason))},
        ) from reason
    except FileTypeNotAllowed as error:
        raise ValidationError(
            _(
                "A file of this kind, or of this name, is not taken here. Nothing was lost: choose "
                "another one, or give it its right name."
            ),
            code=error.code,
        ) from error
    except ContentRefused as error:
        raise ValidationError(gettext(error.detail), code=error.code) from error
    finally:
        file.seek(0)
