"""Texts of any size: looked at piece by piece, and in memory once where they must be."""

import codecs
import io
from mmap import ACCESS_READ, mmap
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.utils.translation import gettext_lazy as _

from uploads.forms import ResumableFileField

#: Characters, or bytes, of a piece.
PIECE = 1024 * 1024

NOT_TEXT = _(
    "“%(name)s” is not a text in UTF-8: byte %(position)s is none. Nothing was replaced. Save the "
    "file as UTF-8 and choose it again."
)


def byte_length(text: str) -> int:
    """In UTF-8, without making it."""
    if text.isascii():
        return len(text)
    return sum(len(text[at : at + PIECE].encode()) for at in range(0, len(text), PIECE))


def check_text(content: "File[Any]") -> None:
    """A validator of the upload. Raises ValidationError for what `read_text` could not read.

    Python's own error would carry a copy of the whole.
    """
    try:
        with content.open():
            _check_pieces(content)
    except FileNotFoundError as error:
        # Another submit has used it since the field looked.
        text = ResumableFileField.default_error_messages["gone"]
        raise ValidationError(text, code="gone") from error


def read_text(content: "File[Any]") -> str:
    """The text of an upload that `check_text` has passed, without the mark of its byte order.

    Decoded from where the file lies, so that there is one copy of it in memory. Where a storage has
    no files, it is put together of pieces, which are there beside it for a moment.
    """
    if not content.size:
        return ""
    with content.open():
        try:
            descriptor = content.fileno()
        except (AttributeError, io.UnsupportedOperation):
            decoder = codecs.getincrementaldecoder("utf-8-sig")()
            return "".join(decoder.decode(piece) for piece in content.chunks(PIECE))
        return _decoded(descriptor)


def _decoded(descriptor: int) -> str:
    with mmap(descriptor, 0, access=ACCESS_READ) as file, memoryview(file) as every:
        start = len(codecs.BOM_UTF8) if file[:3] == codecs.BOM_UTF8 else 0
        with every[start:] as text:
            return str(text, "utf-8")


def _check_pieces(content: "File[Any]") -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    for piece in content.chunks(PIECE):
        pending = len(decoder.getstate()[0])
        _check_piece(decoder, content, piece, position - pending)
        position += len(piece)
    _check_piece(decoder, content, b"", position - len(decoder.getstate()[0]), final=True)


def _check_piece(
    decoder: codecs.IncrementalDecoder,
    content: "File[Any]",
    piece: bytes,
    start: int,
    *,
    final: bool = False,
) -> None:
    """`start` is the position of the first byte that is not decoded yet."""
    try:
        text = decoder.decode(piece, final)
    except UnicodeDecodeError as error:
        raise _refusal(content, start + error.start) from None
    # Valid, but no text, and PostgreSQL keeps none with it.
    if "\0" in text:
        raise _refusal(content, start + len(text[: text.index("\0")].encode()))


def _refusal(content: "File[Any]", position: int) -> ValidationError:
    params = {"name": content.name, "position": position + 1}
    return ValidationError(NOT_TEXT, code="not_text", params=params)
