"""Fields of a JSON object, each checked for form, with refusals that name the field."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from uploads.core.digests import parse_sha256_hex
from uploads.core.filenames import clean_filename, clean_folder
from uploads.core.plan import MAX_CHUNK_SIZE, MIN_CHUNK_SIZE
from uploads.errors import InvalidFilename, InvalidRequest, SessionNotFound

#: UUID() itself takes braces, prefixes and underscores as well.
_UUID = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
#: The largest number a column of ours can hold.
_MAX_INTEGER = 2**63 - 1
MAX_TEXT_LENGTH = 255
#: Of a ticket, whose lists of extensions and types are the project's own.
MAX_TICKET_LENGTH = 8192
#: RFC 9110, section 8.3.1, without quoted parameters. No part can match where another does, so
#: that no input makes the search long.
_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(?:[ \t]*;[ \t]*{_NAME}={_NAME})*")


def filename(data: dict[str, Any]) -> str:
    return _name(data, "filename", "This file name", clean_filename)


def folder(data: dict[str, Any]) -> str:
    """Empty when it is absent or null."""
    if data.get("folder") is None:
        return ""
    return _name(data, "folder", "This folder", clean_folder)


def size(data: dict[str, Any], name: str = "size") -> int:
    return _integer(data, name, 0, _MAX_INTEGER)


def index(data: dict[str, Any], name: str) -> int:
    """Of a chunk: whether there is one is for the session to say."""
    return _integer(data, name, 0, _MAX_INTEGER, unit="")


def chunk_size(
    data: dict[str, Any], name: str = "chunk_size", *, most: int = MAX_CHUNK_SIZE
) -> int | None:
    if data.get(name) is None:
        return None
    return _integer(data, name, MIN_CHUNK_SIZE, most)


def sha256(data: dict[str, Any], name: str = "sha256") -> str:
    return _optional(data, name, parse_sha256_hex)


def session_id(data: dict[str, Any], name: str) -> UUID:
    """Raises SessionNotFound for a string that is no id."""
    value = data.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"`{name}` must be a string.", field=name)
    return parse_session_id(value)


def parse_session_id(text: str) -> UUID:
    """A UUID with or without its dashes. Raises SessionNotFound for anything else."""
    if not _UUID.fullmatch(text):
        raise SessionNotFound(
            "No upload has an id like this: ids are UUIDs. Send the one that was answered when the "
            "upload was begun."
        )
    return UUID(text)


def resume_key(data: dict[str, Any]) -> str:
    return _optional(data, "resume_key", _printable)


def ticket(data: dict[str, Any]) -> str:
    return _optional(data, "ticket", _printable, most=MAX_TICKET_LENGTH)


def mime_type(data: dict[str, Any]) -> str:
    return _optional(data, "mime_type", _media_type)


def _name(data: dict[str, Any], field: str, what: str, clean: Callable[[str], str]) -> str:
    value = data.get(field)
    if not isinstance(value, str):
        raise InvalidRequest(f"`{field}` must be a string.", field=field)
    try:
        return clean(value)
    except ValueError as reason:
        # People see this one: names come from their own disk.
        raise InvalidFilename(
            f"{what} cannot be used: {reason}. Rename it and send the file again.", field=field
        ) from reason


def _integer(
    data: dict[str, Any], name: str, least: int, most: int, *, unit: str = " of bytes"
) -> int:
    value = data.get(name)
    # JSON's true is an int in Python.
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidRequest(
            f"`{name}` must be a whole number{unit} from {least} to {most}.", field=name
        )
    return value


def _optional(
    data: dict[str, Any],
    name: str,
    check: Callable[[str], str],
    *,
    most: int = MAX_TEXT_LENGTH,
) -> str:
    """The checked field, or an empty string when it is absent, null or empty."""
    value = data.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise InvalidRequest(f"`{name}` must be a string of at most {most} characters.", field=name)
    try:
        return check(value)
    except ValueError as reason:
        raise InvalidRequest(f"`{name}` is refused: {reason}.", field=name) from reason


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("it may hold printable characters only")
    return value


def _media_type(value: str) -> str:
    if not _MEDIA_TYPE.fullmatch(value):
        raise ValueError("a media type looks like text/plain")
    return value
