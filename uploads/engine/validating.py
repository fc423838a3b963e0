"""The project's own say about content, `UPLOADS["VALIDATORS"]`, before it counts as complete."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string

from uploads import conf
from uploads.errors import ContentRefused

from .uploaded import UploadedContent

#: Characters of what a validator says that are kept: a paragraph, not a report.
_LONGEST = 1000


def validate(content: Callable[[], UploadedContent]) -> None:
    """Let each validator look at the content, which is asked for only if there is one.

    Raises ContentRefused, in the words of the first that raises a ValidationError. Whatever else
    one raises is a defect, or something that passes: nothing is complete then, and the verifier is
    asked again.
    """
    for path in conf.current().validators:
        with content() as file:
            _ask(import_string(path), file)


def _ask(validator: Callable[[UploadedContent], Any], file: UploadedContent) -> None:
    try:
        validator(file)
    except ValidationError as error:
        raise ContentRefused(" ".join(error.messages)[:_LONGEST]) from error
