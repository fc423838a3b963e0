"""What an upload is made for, and what may come in for that."""

from dataclasses import dataclass

from uploads.core.active import UNKNOWN
from uploads.core.extensions import has_extension
from uploads.errors import FileTypeNotAllowed, TooLarge
from uploads.models import MAX_SCOPE_LENGTH


@dataclass(frozen=True, slots=True)
class Admission:
    """Under what a session may be opened. The default admits anything, for nothing in particular.

    `extensions` are lowercase, without a dot before them. `types` are media types without
    parameters, or whole families such as `image/*`.
    """

    scope: str = ""
    #: Bytes; None for the server's own limit only.
    max_size: int | None = None
    extensions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    #: Whether a session may be begun; else one may only be found that is there.
    may_open: bool = True


ANYTHING = Admission()


def make_scope(*parts: str) -> str:
    """One scope for the form, its field, its object: no two lists of parts make the same.

    Raises ValueError beyond MAX_SCOPE_LENGTH characters.
    """
    scope = "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)
    if len(scope) > MAX_SCOPE_LENGTH:
        raise ValueError(f"a scope has at most {MAX_SCOPE_LENGTH} characters: {scope}")
    return scope


def check_admission(admission: Admission, filename: str, size: int | None, mime_type: str) -> None:
    """Raises TooLarge or FileTypeNotAllowed. A size that nobody knows yet passes."""
    if admission.max_size is not None and (size or 0) > admission.max_size:
        raise TooLarge(
            f"This file has {size} bytes; at most {admission.max_size} are taken here. Nothing "
            "was sent: choose a smaller one.",
            limit=admission.max_size,
        )
    if admission.extensions and not has_extension(filename, admission.extensions):
        allowed = [f".{extension}" for extension in admission.extensions]
        raise _not_allowed("ending in", allowed)
    if admission.types and not _is_of_type(mime_type, admission.types):
        raise _not_allowed("of the type", list(admission.types))


def _is_of_type(mime_type: str, types: tuple[str, ...]) -> bool:
    kind = mime_type.partition(";")[0].strip().lower() or UNKNOWN
    family = f"{kind.partition('/')[0]}/*"
    return kind in types or family in types


def _not_allowed(what: str, allowed: list[str]) -> FileTypeNotAllowed:
    return FileTypeNotAllowed(
        f"Only files {what} {', '.join(allowed)} are taken here. Nothing was sent: choose another "
        "one.",
        allowed_files=allowed,
    )
