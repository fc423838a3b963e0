"""What the end of a file's name says of it, and which ends are refused.

A name is judged as the system would that opens the file: without regard to case, width and
invisible characters, and without the dots and spaces at its end, which Windows drops.
"""

import re
import unicodedata
from collections.abc import Collection


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What a web server may run where somebody unpacks it into a served folder, also in the middle of
#: a name: some servers act upon every part of it.
SERVER_PAGES = _words(
    "asa asax ascx ashx asmx asp aspx cfm cgi htaccess htpasswd jsp jspx phar php php3 php4 "
    "php5 php7 php8 phps pht phtml shtml"
)
#: What runs, or leads elsewhere, on a double click. But for those of Windows itself (bat, cmd,
#: vbs), languages that people write (js, py, sh, ps1, vb) are not among it, nor what browsers show
#: (html, svg): content is never shown on the site's own origin.
PROGRAMS = _words(
    "appinstaller application appref-ms bat chm cmd com command cpl dll exe gadget hta ins isp "
    "jnlp jse lnk msc msi msix msp mst ocx pif reg scf scr sct search-ms settingcontent-ms shb sys "
    "url vbe vbs vxd website wsc wsf wsh xll"
)
#: Whole names that change how a web server treats a folder.
SERVER_FILES = frozenset({"web.config", ".user.ini"})
#: `UPLOADS["DENIED_EXTENSIONS"]` where the project says nothing.
DANGEROUS = tuple(sorted(SERVER_PAGES | PROGRAMS | SERVER_FILES))

#: What people take for a document: in front of a program's end it is a disguise.
_DOCUMENTS = _words(
    "avi csv doc docx gif htm html jpeg jpg mkv mov mp3 mp4 odp ods odt pdf png ppt pptx rtf txt "
    "wav webp xls xlsx zip"
)
#: Of a part between dots, what a server would still take for an extension: `asp;`, `php%00`. Not
#: what people write behind a dot: `1. PHP basics.pdf`, `About .php pages`.
_WORD = re.compile(r"[a-z0-9-]+(?![a-z0-9-]|\s)")
#: An NTFS stream: `notes.txt:hidden.exe`, `shell.php::$DATA`.
_STREAM = ":"


def denied_end(filename: str, denied: Collection[str]) -> str | None:
    """That of the `denied` extensions (or whole names) which this file has; else None.

    Also one that hides: behind dots, spaces and streams, or, of SERVER_PAGES, in the middle.
    """
    for name in _names(filename):
        if "." in name and name in denied:
            return name
        parts = name.split(".")
        # A name that is nothing but an extension (`.htaccess`) has an empty part before it.
        ends = [".".join(parts[index:]) for index in range(1, len(parts))]
        inner = [word for part in parts[1:-1] if (word := _word(part)) in SERVER_PAGES]
        last = _word(parts[-1]) if len(parts) > 1 else ""
        for end in (*ends, last, *inner):
            if end and end in denied:
                return end
    return None


def disguised_end(filename: str) -> str | None:
    """The end of a program behind one of a document: `exe` of `invoice.pdf .exe`; else None."""
    for name in _names(filename):
        parts = [part.strip() for part in name.split(".")]
        if len(parts) > 2 and parts[-1] in PROGRAMS and parts[-2] in _DOCUMENTS:
            return parts[-1]
    return None


def has_extension(filename: str, extensions: Collection[str]) -> bool:
    """Whether the name ends in one of `extensions`, lowercase and without the dot before them."""
    name = _plain(filename)
    return name.endswith(tuple(f".{extension}" for extension in extensions))


def extension_of(filename: str) -> str:
    """The last extension, lowercase, without its dot; empty where there is none.

    Of a name that is nothing but an end (`.jpg`), that: so systems take it, and `has_extension`.
    """
    _, dot, extension = _plain(filename).rpartition(".")
    return extension if dot else ""


def _names(filename: str) -> list[str]:
    return [name for part in filename.split(_STREAM) if (name := _plain(part))]


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    return visible.rstrip(". \u00a0\u3000")


def _word(part: str) -> str:
    found = _WORD.match(part.rstrip())
    return found.group() if found else ""
