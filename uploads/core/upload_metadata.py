"""`Upload-Metadata` of tus 1.0 (section "Upload-Metadata"): what a client says about its file.

The form is a list of pairs separated by commas, a pair being a key, a space and the value in
base64: `filename d29ybGQucGRm,is_confidential`. A value may be empty, and its space left out.
"""

import base64
import re
from collections.abc import Mapping

#: Characters of the whole header. Servers and proxies bound all headers together, some to 8 KiB;
#: and it is kept with the upload, and given back with every HEAD.
MAX_LENGTH = 4096

#: ASCII without spaces, commas and control characters.
_KEY = re.compile(r"[!-+\--~]+")
_BLANKS = " \t"
_TOO_LONG = f"it may have {MAX_LENGTH} characters"
_WRONG_KEY = "a key is printable ASCII without spaces and commas, and not empty"


def parse_upload_metadata(header: str) -> dict[str, bytes]:
    """The pairs of the header, in its order; none of an empty one.

    Raises ValueError, with a sentence's worth of reason, when it is longer than MAX_LENGTH, or a
    key is empty, comes twice or has a character that no key may have, or a value is no base64.
    """
    if len(header) > MAX_LENGTH:
        raise ValueError(_TOO_LONG)
    found: dict[str, bytes] = {}
    if not header.strip(_BLANKS):
        return found
    for pair in header.split(","):
        key, _, encoded = pair.strip(_BLANKS).partition(" ")
        if not _KEY.fullmatch(key):
            raise ValueError(_WRONG_KEY)
        if key in found:
            raise ValueError("a key comes twice")
        found[key] = _decoded(encoded)
    return found


def format_upload_metadata(pairs: Mapping[str, bytes]) -> str:
    """The header that `parse_upload_metadata` reads as `pairs`. Raises ValueError as that does."""
    if not all(map(_KEY.fullmatch, pairs)):
        raise ValueError(_WRONG_KEY)
    header = ",".join(
        f"{key} {base64.b64encode(value).decode('ascii')}" if value else key
        for key, value in pairs.items()
    )
    if len(header) > MAX_LENGTH:
        raise ValueError(_TOO_LONG)
    return header


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        # Of binascii for what is no base64, and of Python for what is no ASCII.
        raise ValueError("a value is base64 (RFC 4648, section 4), with its padding") from error
