"""Digests of chunks and files: SHA-256 is a file's identity, BLAKE3 a chunk's fingerprint.

The header form is RFC 9530 (Digest Fields), whose value is a dictionary of byte sequences as in
RFC 8941, section 3.2: `sha-256=:<base64>:, blake3=:<base64>:`.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from blake3 import blake3

SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class Hasher(Protocol):
    def update(self, data: bytes | memoryview, /) -> object: ...
    def digest(self) -> bytes: ...


#: The algorithms of a declared digest, by their name in `Content-Digest`, strongest first.
ALGORITHMS: dict[str, Callable[[], Hasher]] = {"sha-256": hashlib.sha256, "blake3": blake3}
#: Of these, that of a chunk's own fingerprint.
FINGERPRINT = "blake3"
DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class Digest:
    """What a client says its bytes hash to. `algorithm` is a key of ALGORITHMS."""

    algorithm: str
    value: bytes

    def new_hasher(self) -> Hasher:
        return ALGORITHMS[self.algorithm]()


def fingerprint() -> Hasher:
    """A new hasher for a chunk's own fingerprint."""
    return ALGORITHMS[FINGERPRINT]()


def parse_sha256_hex(text: str) -> str:
    """The SHA-256 in lowercase hex. Raises ValueError unless `text` is 64 hex digits."""
    lowered = text.strip().lower()
    if not SHA256_HEX.fullmatch(lowered):
        raise ValueError("a SHA-256 is 64 hexadecimal digits")
    return lowered


#: A dictionary member: a key, then `=` and a byte sequence, a string, or anything plainer. The
#: alternatives begin differently, so no input makes the search long.
_MEMBER = re.compile(
    r"""[ \t]*([a-z*][a-z0-9_.*-]*)(?:=(:[^:,]*:|"(?:[^"\\]|\\.)*"|[^",:]*))?[ \t]*(,|$)"""
)


def parse_content_digest(header: str) -> list[Digest]:
    """The digests of a `Content-Digest` header that we can check, in the order of ALGORITHMS.

    Unknown algorithms are ignored, as RFC 9530 section 2 wants. Raises ValueError when the field
    is no dictionary, or a known algorithm has no byte sequence of its length.
    """
    found: dict[str, Digest] = {}
    position, more = 0, True
    while more:
        match = _MEMBER.match(header, position)
        if not match:
            raise ValueError("a digest field is a list of algorithm=:base64: pairs")
        name, value, comma = match.groups()
        if name in ALGORITHMS:
            found[name] = Digest(name, _byte_sequence(name, value or ""))
        position, more = match.end(), bool(comma)
    return [found[name] for name in ALGORITHMS if name in found]


def _byte_sequence(name: str, text: str) -> bytes:
    text = text.strip()
    if len(text) < 2 or not (text.startswith(":") and text.endswith(":")):
        raise ValueError(f"the {name} digest is base64 between two colons")
    try:
        value = base64.b64decode(text[1:-1], validate=True)
    except binascii.Error as error:
        raise ValueError(f"the {name} digest is not valid base64") from error
    if len(value) != DIGEST_SIZE:
        raise ValueError(f"a {name} digest has {DIGEST_SIZE} bytes, this one {len(value)}")
    return value
