"""How files of many kinds begin, for tests: true beginnings, with nothing real behind them."""

from uploads.core.extensions import extension_of
from uploads.core.signatures import TEXT, said_families

from .bodies import payload

_MP4 = b"\x00\x00\x00\x20ftyp"
_RIFF = b"RIFF\x10\x00\x00\x00"
_EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84"

#: By extension; several where files of one kind begin in several ways.
BEGINNINGS: dict[str, list[bytes]] = {
    "png": [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"],
    "jpg": [b"\xff\xd8\xff\xe1\x00\x10Exif", b"\xff\xd8\xff\xdb\x00C", b"\xff\xd8\xff\xee\x00\x0e"],
    "gif": [b"GIF87a\x01\x00", b"GIF89a\x01\x00"],
    "bmp": [b"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"],
    "tif": [b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08", b"II+\x00\x08\x00"],
    "psd": [b"8BPS\x00\x01"],
    "webp": [_RIFF + b"WEBPVP8L", _RIFF + b"WEBPVP8X", _RIFF + b"WEBPVP8 "],
    "heic": [_MP4 + b"heic\x00\x00\x00\x00mif1heic", _MP4 + b"mif1"],
    "avif": [_MP4 + b"avif\x00\x00\x00\x00avifmif1"],
    "jxl": [b"\x00\x00\x00\x0cJXL \r\n\x87\n", b"\xff\x0a\xfa\x1f"],
    "mp4": [_MP4 + b"isom\x00\x00\x02\x00isomiso2", _MP4 + b"dash", _MP4 + b"iso5", _MP4 + b"avc1"],
    "m4a": [_MP4 + b"M4A \x00\x00\x00\x00"],
    "mov": [
        _MP4 + b"qt  \x00\x00",
        b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat",
        b"\x00\x00\x10\x00moov",
    ],
    "3gp": [_MP4 + b"3gp5"],
    "webm": [_EBML + b"webm"],
    "mkv": [_EBML + b"matroska", b"\x1aE\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1fB\x86"],
    "avi": [_RIFF + b"AVI LIST"],
    "wav": [_RIFF + b"WAVEfmt "],
    "ogg": [b"OggS\x00\x02\x00\x00\x00\x00"],
    "flac": [b"fLaC\x00\x00\x00\x22"],
    "mp3": [b"ID3\x04\x00\x00\x00\x00", b"\xff\xfb\x90\x64", b"\xff\xf3\x84\xc4", b"\xff\xf2\x90"],
    "mid": [b"MThd\x00\x00\x00\x06"],
    "zip": [b"PK\x03\x04\x14\x00\x00\x00\x08\x00", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04"],
    "docx": [b"PK\x03\x04\x14\x00\x06\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
    "odt": [b"PK\x03\x04\x14\x00\x00\x08"],
    "epub": [b"PK\x03\x04\x0a\x00\x00\x00"],
    "doc": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf1\\ansi"],
    "xls": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04\x14", b"<html><table>"],
    "7z": [b"7z\xbc\xaf\x27\x1c\x00\x04"],
    "rar": [b"Rar!\x1a\x07\x00\xcf", b"Rar!\x1a\x07\x01\x00"],
    "gz": [b"\x1f\x8b\x08\x08\x00\x00\x00\x00"],
    "tgz": [b"\x1f\x8b\x08\x00\x00\x00\x00\x00"],
    "bz2": [b"BZh91AY&SY", b"BZh11AY&SY"],
    "xz": [b"\xfd7zXZ\x00\x00\x04"],
    "zst": [b"\x28\xb5\x2f\xfd\x04"],
    "lz4": [b"\x04\x22\x4d\x18"],
    "tar": [b"a" + b"\x00" * 256 + b"ustar\x0000", b"a" + b"\x00" * 256 + b"ustar  \x00"],
    "pdf": [b"%PDF-1.7\n%\xe2\xe3"],
    "rtf": [b"{\\rtf1\\ansi"],
    "eps": [b"%!PS-Adobe-3.0 EPSF-3.0"],
    "exe": [
        b"MZ\x90\x00\x03\x00\x00\x00",
        b"MZP\x00" + b"\x00" * 56 + b"\x40\x00\x00\x00PE\x00\x00",
    ],
    "woff": [b"wOFF\x00\x01"],
    "woff2": [b"wOF2\x00\x01"],
    "ttf": [b"\x00\x01\x00\x00\x00\x0f", b"OTTO\x00\x0c"],
    "wmv": [b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"],
    "flv": [b"FLV\x01\x05"],
    "sqlite3": [b"SQLite format 3\x00"],
    "txt": [
        b"BM, MZ and PK are only letters\n",
        b"\xff\xfeT\x00",
        b"caf\xe9 in Latin-1\n",
        b"ID3 tags",
    ],
    "csv": [b"a,b\r\n1,2\r\n"],
    "svg": [b"<svg xmlns='http://www.w3.org/2000/svg'>", b"<?xml version='1.0'?><svg>"],
    "html": [b"<!DOCTYPE html><p>"],
    "py": [b"#!/usr/bin/env python3\n"],
}


def beginning(extension: str) -> bytes:
    return BEGINNINGS[extension][0]


def file_of(extension: str, length: int = 6000) -> bytes:
    """A file that begins as those of this extension do; texts go on as texts."""
    first = beginning(extension)
    filler = b"x" if extension in {"txt", "csv", "svg", "html", "py"} else b"\x00"
    return first + filler * (length - len(first))


#: Printable letters in the place of all bytes.
_LETTERS = bytes(32 + value % 95 for value in range(256))


def content_for(name: str, size: int, seed: int = 0) -> bytes:
    """`payload`, made into what a file of this name may have: its beginning, or text."""
    content = payload(size, seed)
    extension, families = extension_of(name), _families_of(name)
    if families == {TEXT}:
        return content.translate(_LETTERS)
    first = (BEGINNINGS.get(extension) or _ALIKE.get(families) or [b""])[0][:size]
    return first + content[len(first) :]


def _families_of(name: str) -> frozenset[str]:
    return said_families(name, "")[0]


#: For the extensions that have no beginning of their own above.
_ALIKE = {
    families: kinds
    for extension, kinds in BEGINNINGS.items()
    if (families := _families_of(f"file.{extension}"))
}
