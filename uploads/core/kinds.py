"""What a file is to people: told by its media type or, where that says nothing, its extension.

The tables are our own, since Python's `mimetypes` also reads those of the machine it runs on.
"""

IMAGE, VIDEO, AUDIO = "image", "video", "audio"
DOCUMENT, ARCHIVE, OTHER = "document", "archive", "other"

#: By the part of a media type before the slash.
_FAMILIES = {
    "image": IMAGE,
    "video": VIDEO,
    "audio": AUDIO,
    "text": DOCUMENT,
}
_DOCUMENT_TYPES = {
    "application/epub+zip",
    "application/json",
    "application/msword",
    "application/pdf",
    "application/postscript",
    "application/rtf",
    "application/xml",
}
#: Office documents, old and new: by how their types begin.
_DOCUMENT_FAMILIES = (
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-word",
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
)
_ARCHIVE_TYPES = {
    "application/gzip",
    "application/java-archive",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-tar",
    "application/x-xz",
    "application/x-zip-compressed",
    "application/zip",
    "application/zstd",
}
_EXTENSIONS = {
    IMAGE: "avif bmp gif heic heif ico jpeg jpg jxl png psd raw svg tif tiff webp",
    VIDEO: "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv webm wmv",
    AUDIO: "aac aif aiff flac m4a mid midi mp3 oga ogg opus wav wma",
    DOCUMENT: "csv doc docx epub htm html json md odp ods odt pdf ppt pptx ps rtf tex txt xls "
    "xlsx xml yaml yml",
    ARCHIVE: "7z bz2 dmg gz iso jar rar tar tbz2 tgz txz xz zip zst",
}
_BY_EXTENSION = {
    extension: kind for kind, extensions in _EXTENSIONS.items() for extension in extensions.split()
}


def kind_of(filename: str, mime_type: str) -> str:
    """One of the constants above. `mime_type` may have parameters, or be empty."""
    by_type = _kind_of_type(mime_type.partition(";")[0].strip().lower())
    return by_type or _BY_EXTENSION.get(_extension(filename), OTHER)


def _kind_of_type(media_type: str) -> str | None:
    """None where the type is missing or says nothing, as application/octet-stream does."""
    if media_type in _DOCUMENT_TYPES or media_type.startswith(_DOCUMENT_FAMILIES):
        return DOCUMENT
    if media_type in _ARCHIVE_TYPES:
        return ARCHIVE
    return _FAMILIES.get(media_type.partition("/")[0])


def _extension(filename: str) -> str:
    stem, _, extension = filename.rpartition(".")
    return extension.lower() if stem else ""
