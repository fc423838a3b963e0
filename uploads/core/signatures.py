"""Whether a file's content, the end of its name and its declared type say the same.

What the bytes are is told by the signatures of puremagic, and only of families that it tells apart
with certainty. What no table here knows is no contradiction: an unknown extension says nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType

import puremagic

from .extensions import extension_of

#: Bytes from the beginning of a file that are looked at. The furthest signature among ours, that
#: of tar, ends at 265; that of a Windows program is where its own header says.
HEAD_LENGTH = 4096

#: At the header of a program of Windows.
PROGRAM_MARK = b"PE\0\0"

TEXT = "text"
PROGRAM = "Windows program"

#: Each family, and the extensions of its files: in the tables of puremagic as well as in names.
_FAMILIES: dict[str, str] = {
    "PNG": "png apng",
    "JPEG": "jpg jpeg jpe jfif",
    "GIF": "gif",
    "WebP": "webp",
    "BMP": "bmp dib",
    "TIFF": "tif tiff",
    "Photoshop": "psd",
    "JPEG XL": "jxl",
    "PDF": "pdf",
    "PostScript": "ps eps epsf",
    "RTF": "rtf",
    "ZIP": "zip docx docm dotx dotm xlsx xlsm xlsb xltx xltm xlam pptx pptm potx potm ppsx odt ods "
    "odp odg ott sxw sxi sxd jar war apk epub xpi xps cbz kmz ipa whl nupkg 3mf fb3 fbz",
    "OLE": "doc dot xls xla xlt ppt pps pub vsd msi msg msp mst",
    "7z": "7z cb7",
    "RAR": "rar cbr",
    "gzip": "gz tgz svgz",
    "bzip2": "bz2 bzip2 tbz2 tb2 tar.bz2",
    "xz": "xz txz tar.xz",
    "Zstandard": "zst tzst tar.zst",
    "LZ4": "lz4 tlz4 tar.lz4",
    "tar": "tar cbt",
    "MP4": "mp4 m4v m4a m4b mov qt 3gp 3g2 3ga f4v f4a heic heif avif",
    "Matroska": "mkv webm mka",
    "AVI": "avi",
    "WAV": "wav",
    "Ogg": "ogg oga ogv ogx opus spx",
    "FLAC": "flac",
    "MP3": "mp3 mpga",
    "MIDI": "mid midi",
    "ASF": "wmv wma asf",
    "Flash video": "flv",
    "SQLite": "sqlite sqlite3",
    "WOFF": "woff",
    "WOFF2": "woff2",
    "TrueType": "ttf",
    "OpenType": "otf",
    PROGRAM: "exe dll scr sys cpl ocx drv com pif efi",
    "ELF program": "elf",
    "Mach-O program": "macho dylib",
    "Windows shortcut": "lnk",
    TEXT: "txt csv tsv md markdown rst log ini cfg conf toml yaml yml json jsonl ndjson geojson "
    "xml xsd xsl html htm xhtml svg css js mjs cjs jsx tsx py rb java c h cc cpp hpp cs go rs "
    "swift kt php sh sql tex bib srt vtt ics vcf",
}
#: Of the others puremagic knows every beginning: what has none of them is none of theirs. Old tar
#: files have no signature; archives of Zstandard and LZ4 may begin with what readers skip.
_UNCERTAIN = {
    "MP3", "MP4", "OLE", "PostScript", "SQLite", "TIFF", "TrueType", "OpenType", "ELF program",
    "Mach-O program", "tar", "Zstandard", "LZ4", TEXT,
}  # fmt: skip
#: Extensions whose files come in more than one family.
_ALSO: dict[str, set[str]] = {
    # An encrypted one is packed into the older format.
    **{
        ext: {"OLE"}
        for ext in (
            *("docx", "docm", "dotx", "dotm", "xlsx", "xlsm", "xlsb", "xltx", "xltm", "xlam"),
            *("pptx", "pptm", "potx", "potm", "ppsx"),
        )
    },
    # What programs export under the older names.
    **{ext: {"ZIP", "RTF", TEXT} for ext in ("doc", "xls", "ppt", "dot", "xla", "xlt", "pps")},
    # A script may stand before the archive.
    "jar": {TEXT},
    "war": {TEXT},
    "flac": {"Ogg"},
    "mp4": {"Ogg"},
    "mp3": {"MP4", "Ogg", "WAV"},
    # Of DOS and of other systems.
    **{ext: {TEXT, "OLE", "ELF program"} for ext in ("com", "drv", "scr", "sys", "pif")},
    "eps": {TEXT, "PDF"},
    "ps": {TEXT},
    "rtf": {TEXT},
    "svgz": {TEXT},
    "ttf": {"OpenType"},
    "otf": {"TrueType"},
    "cbr": {"ZIP", "7z"},
    "cbz": {"RAR", "7z"},
    # Keys of SSH and OpenPGP are called so too.
    "pub": {TEXT},
}
_TYPES: dict[str, set[str]] = {
    "application/epub+zip": {"ZIP"},
    "application/gzip": {"gzip"},
    "application/java-archive": {"ZIP", TEXT},
    "application/json": {TEXT},
    "application/msword": {"OLE", "ZIP", "RTF", TEXT},
    "application/pdf": {"PDF"},
    "application/postscript": {"PostScript", "PDF", TEXT},
    "application/rtf": {"RTF", TEXT},
    "application/vnd.microsoft.portable-executable": {PROGRAM},
    # Windows says so of every table, comma-separated ones included.
    "application/vnd.ms-excel": {"OLE", "ZIP", TEXT},
    "application/vnd.ms-powerpoint": {"OLE", "ZIP"},
    "application/vnd.rar": {"RAR"},
    "application/x-7z-compressed": {"7z"},
    "application/x-bzip2": {"bzip2"},
    "application/x-gzip": {"gzip"},
    "application/x-msdownload": {PROGRAM},
    "application/x-rar-compressed": {"RAR"},
    "application/x-tar": {"tar", "gzip", "bzip2", "xz", "Zstandard"},
    "application/x-xz": {"xz"},
    "application/x-zip-compressed": {"ZIP"},
    "application/xml": {TEXT},
    "application/zip": {"ZIP"},
    "application/zstd": {"Zstandard"},
    "audio/flac": {"FLAC", "Ogg"},
    "audio/mp4": {"MP4"},
    "audio/mpeg": {"MP3", "MP4", "Ogg", "WAV"},
    "audio/ogg": {"Ogg"},
    "audio/wav": {"WAV"},
    "audio/x-wav": {"WAV"},
    "audio/webm": {"Matroska"},
    "image/apng": {"PNG"},
    "image/avif": {"MP4"},
    "image/bmp": {"BMP"},
    "image/gif": {"GIF"},
    "image/heic": {"MP4"},
    "image/heif": {"MP4"},
    "image/jpeg": {"JPEG"},
    "image/jxl": {"JPEG XL"},
    "image/pjpeg": {"JPEG"},
    "image/png": {"PNG"},
    "image/svg+xml": {TEXT, "gzip"},
    "image/tiff": {"TIFF"},
    "image/vnd.adobe.photoshop": {"Photoshop"},
    "image/webp": {"WebP"},
    "text/css": {TEXT},
    "text/csv": {TEXT},
    "text/html": {TEXT},
    "text/javascript": {TEXT},
    "text/markdown": {TEXT},
    "text/plain": {TEXT},
    "text/xml": {TEXT},
    "video/mp4": {"MP4", "Ogg"},
    "video/ogg": {"Ogg"},
    "video/quicktime": {"MP4"},
    "video/webm": {"Matroska"},
    "video/x-matroska": {"Matroska"},
    "video/x-msvideo": {"AVI"},
}
#: Office documents: by how their types begin.
_TYPE_FAMILIES = {
    "application/vnd.openxmlformats-officedocument.": {"ZIP", "OLE"},
    "application/vnd.oasis.opendocument.": {"ZIP", TEXT},
}
_FAMILY_OF: Mapping[str, str] = MappingProxyType(
    {ext: family for family, extensions in _FAMILIES.items() for ext in extensions.split()}
)
#: What RIFF holds is said behind its length; puremagic names all kinds of it. The others are for
#: more than 4 GiB (EBU Tech 3306, ITU-R BS.2088).
_RIFF = {b"WEBP": "WebP", b"AVI ": "AVI", b"WAVE": "WAV", b"RMID": "MIDI"}
_RIFFS = {b"RIFF", b"RF64", b"BW64"}
#: Boxes that an MP4 or QuickTime file begins with (ISO/IEC 14496-12; QuickTime File Format).
_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
#: Of these boxes only media data is larger than half a gigabyte; words are, read as a size.
_LARGE_BOX = b"mdat"
_LARGEST_FIRST_BYTE = 0x1F
#: A zip file that was to be split and was small enough for one part (APPNOTE, section 8.5.4).
_ZIP_IN_ONE_PART = b"PK00PK\x03\x04"
#: Of MP3 files, and before other sound (ID3v2.4, section 3.1).
_TAGS = b"ID3"
#: Readers look for this in so many bytes (ISO 32000-1, annex H.3.4.1, note 13).
PDF_MARK, PDF_WITHIN = b"%PDF-", 1024
#: What macOS puts beside a file where a disk cannot hold all that belongs to it: under the same
#: name with this before it (RFC 1740).
_APPLE_DOUBLE, _APPLE_DOUBLE_PREFIX = b"\x00\x05\x16\x07", "._"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
#: Bytes of no text: controls without those of lines, tabs, pages and terminals.
_NO_TEXT = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"


def said_families(filename: str, mime_type: str) -> tuple[frozenset[str], frozenset[str]]:
    """What the name and what the type say of the content; empty where they say nothing."""
    extension = extension_of(filename)
    named: set[str] = set(_ALSO.get(extension, ()))
    if extension in _FAMILY_OF:
        named.add(_FAMILY_OF[extension])
    media_type = mime_type.partition(";")[0].strip().lower()
    declared = _TYPES.get(media_type)
    if declared is None:
        families = (f for start, f in _TYPE_FAMILIES.items() if media_type.startswith(start))
        declared = next(families, set())
    return frozenset(named), frozenset(declared)


def contradiction(filename: str, mime_type: str) -> str | None:
    """What the name and the declared type say where they exclude each other, such as
    `PNG ≠ PDF`; else None.
    """
    named, declared = said_families(filename, mime_type)
    if named and declared and not named & declared:
        return _unlike(named, declared)
    return None


def content_contradiction(filename: str, mime_type: str, head: bytes) -> str | None:
    """What was said and what the content is, where they exclude each other; else None.

    `head`: the first HEAD_LENGTH bytes, or all of a file that is shorter. Nothing contradicts a
    file without any bytes.
    """
    if not head or (filename.startswith(_APPLE_DOUBLE_PREFIX) and head.startswith(_APPLE_DOUBLE)):
        return None
    found = families(head)
    for said in said_families(filename, mime_type):
        if not said or said & found:
            continue
        if "PDF" in said and not found and PDF_MARK in head[:PDF_WITHIN]:
            continue
        if TEXT in said and _is_text(head):
            continue
        if found or not said & _UNCERTAIN:
            return _unlike(said, found)
    return None


def families(head: bytes) -> frozenset[str]:
    """The families of which a file beginning so may be; empty where nothing is certain."""
    if is_program(head):
        return frozenset({PROGRAM})
    if head[:4] in _RIFFS:
        return frozenset({_RIFF[head[8:12]]} if head[8:12] in _RIFF else ())
    if _begins_with_box(head):
        return frozenset({"MP4"})
    if head.startswith(_ZIP_IN_ONE_PART):
        return frozenset({"ZIP"})
    found = {family for match in _matches(head) if (family := _family(match))}
    if head.startswith(_TAGS):
        found.add("FLAC")
    if _is_text(head):
        # Words that happen to begin like something else: only what is a format of text counts.
        found &= {"PDF", "RTF", "PostScript"}
    return frozenset(found)


def is_program(head: bytes) -> bool:
    """Whether it is a program of Windows (Microsoft's PE Format: `MZ`, and where it says, `PE`)."""
    at = program_header(head)
    if at is None:
        return False
    return head[at:].startswith(PROGRAM_MARK) or head[2:8] == b"\x90\0\x03\0\0\0"


def program_header(head: bytes) -> int | None:
    """Where in the file PROGRAM_MARK is if it is a program; None if it is none."""
    return int.from_bytes(head[60:64], "little") if head[:2] == b"MZ" else None


def _begins_with_box(head: bytes) -> bool:
    box = head[4:8]
    return box in _BOXES and (box == _LARGE_BOX or head[0] <= _LARGEST_FIRST_BYTE)


def _matches(head: bytes) -> list[puremagic.PureMagicWithConfidence]:
    if not head:
        return []
    try:
        return puremagic.magic_string(head)
    except puremagic.PureError:
        return []


def _family(match: puremagic.PureMagicWithConfidence) -> str | None:
    if "ELF" in match.name:
        return "ELF program"
    if "Mach-O" in match.name:
        return "Mach-O program"
    return _FAMILY_OF.get(match.extension.lstrip("."))


def _is_text(head: bytes) -> bool:
    if head.startswith(_BYTE_ORDER_MARKS):
        return True
    return len(head.translate(None, _NO_TEXT)) == len(head)


def _unlike(said: frozenset[str], other: frozenset[str]) -> str:
    return f"{'/'.join(sorted(said))} ≠ {'/'.join(sorted(other)) or '?'}"
