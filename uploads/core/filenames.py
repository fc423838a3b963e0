"""What may be the name of a file, and of the folders above it.

A name is only ever shown; it never becomes a path. Every refusal is a ValueError with a constant
sentence for people, marked for translation.
"""

import unicodedata

MAX_FILENAME_LENGTH = 255
#: Characters of a folder, with its slashes.
MAX_FOLDER_LENGTH = 1024
MAX_FOLDER_DEPTH = 64
#: Bytes (UTF-8) of a search name: an entry of PostgreSQL's indexes takes no more than 2,704.
MAX_SEARCH_NAME_BYTES = 2400
#: Bytes of its end that are kept where it is longer: case folded, the longest file name has 1,530.
_SEARCH_NAME_END = 1600

#: Unicode categories that cannot be shown honestly: controls, lone surrogates, and what ends a line
#: or a paragraph.
_UNSHOWABLE = {"Cc", "Cs", "Zl", "Zp"}
#: Embeddings, overrides and isolates: they make `exe.txt` out of `txt.exe` (UAX #9, section 2).
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def gettext_noop(sentence: str) -> str:
    """Marks a sentence for translation by this name, as Django's does; the core has no Django."""
    return sentence


_EMPTY = gettext_noop("a file name cannot be empty")
_LONG = gettext_noop("a file name has at most 255 characters")
_PATH = gettext_noop("a file name is a single name, not a path")
_HIDING = gettext_noop("a file name cannot contain control or text-direction characters")
_FOLDER_FORM = gettext_noop("a folder is relative, with / between its names and without .. or \\")
_FOLDER_LONG = gettext_noop("a folder has at most 1024 characters and 64 levels")
_FOLDER_NAME = gettext_noop(
    "the name of a folder has 1 to 255 characters, and no control or text-direction characters"
)


def clean_filename(raw: str) -> str:
    """`raw` in normal form C without spaces around it.

    Raises ValueError when it is empty, longer than MAX_FILENAME_LENGTH characters, a path, or has
    characters that hide what it is.
    """
    name = unicodedata.normalize("NFC", raw).strip()
    if not name:
        raise ValueError(_EMPTY)
    if len(name) > MAX_FILENAME_LENGTH:
        raise ValueError(_LONG)
    if name in {".", ".."} or "/" in name or "\\" in name:
        raise ValueError(_PATH)
    if any(unicodedata.category(c) in _UNSHOWABLE or c in _BIDI_CONTROLS for c in name):
        raise ValueError(_HIDING)
    return name


def clean_folder(raw: str) -> str:
    """`raw`, a relative folder, with each of its names clean and no slash at either end.

    Empty names and "." collapse. Raises ValueError when it is absolute, leads upwards, has
    backslashes, a name that no file could have, more than MAX_FOLDER_DEPTH names or
    MAX_FOLDER_LENGTH characters.
    """
    names = [name for name in raw.split("/") if name not in {"", "."}]
    if raw.startswith("/") or "\\" in raw or any(name.strip() == ".." for name in names):
        raise ValueError(_FOLDER_FORM)
    if len(names) > MAX_FOLDER_DEPTH:
        raise ValueError(_FOLDER_LONG)
    try:
        folder = "/".join(clean_filename(name) for name in names)
    except ValueError as reason:
        raise ValueError(_FOLDER_NAME) from reason
    if len(folder) > MAX_FOLDER_LENGTH:
        raise ValueError(_FOLDER_LONG)
    return folder


def joined(folder: str, filename: str) -> str:
    return f"{folder}/{filename}" if folder else filename


def search_name(path: str) -> str:
    """`path` in the form in which it is searched and sorted: case does not matter.

    A very long one loses its middle: its beginning decides the order, its end is the file's name.
    """
    folded = unicodedata.normalize("NFC", path.casefold())
    encoded = folded.encode()
    if len(encoded) <= MAX_SEARCH_NAME_BYTES:
        return folded
    start = encoded[: MAX_SEARCH_NAME_BYTES - _SEARCH_NAME_END].decode(errors="ignore")
    return start + encoded[-_SEARCH_NAME_END:].decode(errors="ignore")
