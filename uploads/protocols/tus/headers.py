"""The headers of a tus request, each read and checked for form.

The sections named are those of the tus resumable upload protocol 1.0.x.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from blake3 import blake3
from django.http import HttpRequest

from uploads.core.digests import Hasher, parse_sha256_hex
from uploads.core.filenames import clean_filename
from uploads.core.upload_metadata import parse_upload_metadata
from uploads.errors import InvalidFilename, InvalidRequest, UnsupportedMedia, VersionNotSpoken
from uploads.protocols import fields

VERSION = "1.0.0"
BODY_TYPE = "application/offset+octet-stream"
#: What an upload is called that was given no name.
UNNAMED = "unnamed"
#: Parts of one whole. Browsers send four or so, and their addresses come in one header.
MAX_PARTS = 100

_NUMBER = re.compile(r"[0-9]{1,18}")
_FINAL = "final;"


class _Crc32:
    """Four bytes, the most significant first, as in the checksum of a ZIP or PNG file."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _sha1() -> Hasher:
    return hashlib.sha1(usedforsecurity=False)


def _md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


#: By the names of `Upload-Checksum` (section "Checksum"); `sha1` must be among them.
ALGORITHMS: dict[str, Callable[[], Hasher]] = {
    "sha1": _sha1,
    "md5": _md5,
    "sha256": hashlib.sha256,
    "crc32": _Crc32,
    "blake3": blake3,
}


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a client says its body hashes to. `algorithm` is a key of ALGORITHMS."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Description:
    """What `Upload-Metadata` says that is understood here."""

    filename: str
    mime_type: str
    sha256: str
    #: The header as it came.
    given: str


def check_version(request: HttpRequest) -> None:
    """Section "Tus-Resumable": another version is not processed. Raises VersionNotSpoken."""
    given = request.headers.get("Tus-Resumable")
    if given != VERSION:
        said = "no `Tus-Resumable`" if given is None else f"`Tus-Resumable: {given}`"
        raise VersionNotSpoken(
            f"This address speaks tus {VERSION}, and the request says {said}. Nothing was "
            f"processed: send `Tus-Resumable: {VERSION}`.",
            versions=[VERSION],
        )


def announces_body(request: HttpRequest) -> bool:
    """Whether there is one, by what the headers say of its length."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length != "0" or "Transfer-Encoding" in request.headers


def check_body_type(request: HttpRequest) -> None:
    if request.content_type != BODY_TYPE:
        raise UnsupportedMedia(f"Send the bytes with `Content-Type: {BODY_TYPE}`.")


def number(request: HttpRequest, name: str) -> int | None:
    """The number of bytes in a header; None without it."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"`{name}` is a number of bytes, in digits.", header=name)
    return int(text)


def offset(request: HttpRequest) -> int:
    found = number(request, "Upload-Offset")
    if found is None:
        raise InvalidRequest(
            "`Upload-Offset` is missing: the bytes of the file before this body, as HEAD names "
            "them.",
            header="Upload-Offset",
        )
    return found


def length(request: HttpRequest) -> int | None:
    """Of the whole upload, by `Upload-Length`; None where `Upload-Defer-Length` puts it off."""
    found = number(request, "Upload-Length")
    deferred = request.headers.get("Upload-Defer-Length")
    if deferred not in {None, "1"}:
        raise InvalidRequest(
            "`Upload-Defer-Length` is 1, or left out.", header="Upload-Defer-Length"
        )
    if (found is None) == (deferred is None):
        raise InvalidRequest(
            "Send either `Upload-Length`, the bytes of the file, or `Upload-Defer-Length: 1`.",
            header="Upload-Length",
        )
    return found


def checksum(request: HttpRequest) -> Checksum | None:
    """Of the body, by `Upload-Checksum`: an algorithm, a space and the value in base64."""
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, encoded = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise _bad_checksum(f"the algorithms are {', '.join(ALGORITHMS)}")
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_checksum("after the algorithm and a space comes base64") from error
    if len(value) != len(ALGORITHMS[algorithm]().digest()):
        raise _bad_checksum(f"this is no {algorithm}: it has {len(value)} bytes")
    return Checksum(algorithm, value)


def _bad_checksum(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"`Upload-Checksum` is refused: {reason}. Nothing was read: correct it, or leave it out.",
        header="Upload-Checksum",
    )


def description(request: HttpRequest) -> Description:
    """Both names that clients use for a name and for a type are understood."""
    header = request.headers.get("Upload-Metadata", "").strip()
    try:
        pairs = parse_upload_metadata(header)
    except ValueError as reason:
        raise _bad_metadata(str(reason)) from reason
    return Description(
        filename=_filename(_text(pairs, "filename", "name")),
        mime_type=_mime_type(_text(pairs, "filetype", "type")),
        sha256=_sha256(_text(pairs, "sha256")),
        given=header,
    )


def _text(pairs: dict[str, bytes], *keys: str) -> str:
    """Of the first of `keys` that has a value; else empty."""
    for key in keys:
        if pairs.get(key):
            try:
                return pairs[key].decode("utf-8")
            except UnicodeDecodeError as error:
                raise _bad_metadata(f"the value of {key} is not UTF-8") from error
    return ""


def _filename(name: str) -> str:
    if not name:
        return UNNAMED
    try:
        return clean_filename(name)
    except ValueError as reason:
        raise InvalidFilename(
            f"This file name cannot be used: {reason}. Rename it and send the file again.",
            header="Upload-Metadata",
        ) from reason


def _mime_type(kind: str) -> str:
    """Empty where it is none: browsers give what the system made up."""
    try:
        return fields.mime_type({"mime_type": kind})
    except InvalidRequest:
        return ""


def _sha256(text: str) -> str:
    try:
        return parse_sha256_hex(text) if text else ""
    except ValueError as reason:
        raise _bad_metadata(str(reason)) from reason


def _bad_metadata(reason: str) -> InvalidRequest:
    return InvalidRequest(f"`Upload-Metadata` is refused: {reason}.", header="Upload-Metadata")


def is_partial(request: HttpRequest) -> bool:
    """Section "Concatenation"."""
    return request.headers.get("Upload-Concat") == "partial"


def parts_of_final(request: HttpRequest) -> list[str] | None:
    """The addresses in `Upload-Concat: final;…`; None where the upload is to be no final one."""
    header = request.headers.get("Upload-Concat", "partial")
    if header == "partial":
        return None
    addresses = header.removeprefix(_FINAL).split()
    if not header.startswith(_FINAL) or not 0 < len(addresses) <= MAX_PARTS:
        raise InvalidRequest(
            "`Upload-Concat` is `partial`, or `final;` and the addresses of its partial uploads, "
            f"from 1 to {MAX_PARTS}, with a space between two.",
            header="Upload-Concat",
        )
    return addresses
