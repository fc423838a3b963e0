"""The name under which a browser saves what it downloads (RFC 6266)."""

import re
import unicodedata
from urllib.parse import quote

from .filenames import MAX_FILENAME_LENGTH

#: What some file system takes for something else than a part of a name.
_SPECIAL = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
#: Devices of Windows, whatever extension they have (Naming Files, Paths, and Namespaces).
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)
#: Characters of an extension that is kept when the rest of a name has to be cut.
_LONGEST_EXTENSION = 20
#: What needs no percent sign in a value (RFC 8187, section 3.2.1: attr-char).
_PLAIN = "!#$&+-.^_`|~"


def attachment(filename: str) -> str:
    """The value of Content-Disposition for a file of this name.

    Both forms of the name, where they differ: a browser reads the second, the first is for what
    knows ASCII only.
    """
    name = saved_name(filename)
    plain = f'attachment; filename="{_ascii(name)}"'
    return (
        plain if _ascii(name) == name else f"{plain}; filename*=UTF-8''{quote(name, safe=_PLAIN)}"
    )


def saved_name(filename: str) -> str:
    """`filename` as every file system can have it: at most 255 bytes (UTF-8), no device, nothing
    that has a meaning of its own, no dot or space at its end.
    """
    name = _SPECIAL.sub("_", filename)
    name = re.sub(r"[. ]+$", "_", name) or "_"
    if _DEVICE.match(name):
        name = f"_{name}"
    return _shortened(name)


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_FILENAME_LENGTH:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _LONGEST_EXTENSION:
        stem, dot, extension = name, "", ""
    room = MAX_FILENAME_LENGTH - len(f"{dot}{extension}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}{dot}{extension}"


def _ascii(name: str) -> str:
    """Accents go, other letters are lines; no percent sign, which some decode (appendix D)."""
    decomposed = unicodedata.normalize("NFKD", name)
    kept = "".join(c for c in decomposed if not unicodedata.combining(c))
    return re.sub(r'[^\x20-\x7e]|[%"\\/]', "_", kept)
