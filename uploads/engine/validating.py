"""The last look at content before it counts as complete: ours, and that of the project.

A virus scanner is one of `UPLOADS["VALIDATORS"]`.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string

from uploads import conf
from uploads.errors import ContentRefused, Unavailable

from .inspecting import check_whole
from .uploaded import UploadedContent

logger = logging.getLogger("uploads.engine")

#: Characters of what a validator says that are kept: a paragraph, not a report.
_LONGEST = 1000


def validate(content: Callable[[], UploadedContent]) -> None:
    """Look at the content, then let each validator of the project do so.

    Raises ContentRefused: ours, or in the words of the first that raises a ValidationError. Raises
    Unavailable for whatever else one raises, which is a defect, or something that passes: nothing
    is complete then, and the verifier, or the client, asks again.
    """
    with content() as file:
        check_whole(file)
    for path in conf.current().validators:
        with content() as file:
            _ask(import_string(path), file)


def _ask(validator: Callable[[UploadedContent], Any], file: UploadedContent) -> None:
    try:
        validator(file)
    except ValidationError as error:
        raise ContentRefused(" ".join(error.messages)[:_LONGEST]) from error
    except Exception as error:
        logger.exception("A validator could not look at the content of %s", file.session_id)
        raise Unavailable(
            "The server could not look at this file just now, and takes none unseen. Nothing was "
            "lost: send the same request again in a while."
        ) from error
