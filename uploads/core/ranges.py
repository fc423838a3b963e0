"""The `Range` of a request (RFC 9110, section 14): one range of bytes, or the whole."""

import re
from dataclasses import dataclass

#: Enough for any size there is. Thousands of digits would cost time, and int() refuses them.
_DIGITS = 20

_UNIT = re.compile(r"[ \t]*bytes=(.*)", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_BLANKS = " \t"


class Unsatisfiable(Exception):
    """The range is well formed, but the file has no byte in it."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`first` and `last` are offsets of bytes, both inclusive."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    def content_range(self, size: int) -> str:
        """The value of `Content-Range` (section 14.4)."""
        return f"bytes {self.first}-{self.last}/{size}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """The one range that `header` asks for, of a file of `size` bytes; None for all of it.

    Section 14.2 lets a server ignore what it does not serve in parts: other units than bytes,
    what is malformed, and several ranges at once. Raises Unsatisfiable (section 14.1.2).
    """
    unit = _UNIT.fullmatch(header)
    if unit is None:
        return None
    # A list may have empty elements (section 5.6.1.2).
    specs = [spec for part in unit[1].split(",") if (spec := part.strip(_BLANKS))]
    match = _RANGE.fullmatch(specs[0]) if len(specs) == 1 else None
    if match is None or match[0] == "-":
        return None
    if not match[1]:
        return _suffix(_number(match[2]), size)
    return _between(_number(match[1]), _number(match[2]) if match[2] else None, size)


def _suffix(length: int, size: int) -> ByteRange | None:
    if not length:
        raise Unsatisfiable
    # Satisfiable even when the file is empty, but no Content-Range can say "no bytes".
    return ByteRange(max(0, size - length), size - 1) if size else None


def _between(first: int, last: int | None, size: int) -> ByteRange | None:
    if last is not None and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, size - 1 if last is None else min(last, size - 1))


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_DIGITS] or "0")
