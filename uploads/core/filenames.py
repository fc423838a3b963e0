"""What may be the name of a file. A name is only ever shown; it never becomes a path."""

import unicodedata

MAX_FILENAME_LENGTH = 255

#: Unicode categories that cannot be shown honestly: controls and lone surrogates.
_UNSHOWABLE = {"Cc", "Cs"}
#: Embeddings, overrides and isolates: they make `exe.txt` out of `txt.exe` (UAX #9, section 2).
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_filename(raw: str) -> str:
    """`raw` in normal form C without spaces around it.

    Raises ValueError, with a sentence for people, when it is empty, longer than
    MAX_FILENAME_LENGTH characters, a path, or has characters that hide what it is.
    """
    name = unicodedata.normalize("NFC", raw).strip()
    if not name:
        raise ValueError("a file name cannot be empty")
    if len(name) > MAX_FILENAME_LENGTH:
        raise ValueError(
            f"a file name has at most {MAX_FILENAME_LENGTH} characters, this one {len(name)}"
        )
    if name in {".", ".."} or "/" in name or "\\" in name:
        raise ValueError("a file name is a single name, not a path")
    if any(unicodedata.category(c) in _UNSHOWABLE or c in _BIDI_CONTROLS for c in name):
        raise ValueError("a file name cannot contain control or text-direction characters")
    return name
