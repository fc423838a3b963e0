"""The checks of every upload, for files that come another way: Django's own FileField."""

from typing import IO, Any, cast

from django.core.files.base import File

from uploads.engine.inspecting import check_file, check_name
from uploads.errors import ContentRefused, FileTypeNotAllowed

from .plain import clean_name, declared_type, refusal_of


def validate_uploaded_file(file: "File[Any]") -> None:
    """A validator for a `FileField`: what a plain form brings is looked at as uploads are.

    Its name, its declared type and its content, by the same settings. Raises ValidationError.
    """
    name, mime_type = clean_name(file), declared_type(file)
    try:
        check_name(name, mime_type)
        check_file(name, mime_type, cast("IO[bytes]", file))
    except (FileTypeNotAllowed, ContentRefused) as error:
        raise refusal_of(error) from error
    finally:
        file.seek(0)
