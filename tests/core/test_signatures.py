"""What content is, against what is said of it: no honest file is refused, no false one taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.signatures import BEGINNINGS, beginning
from uploads.core.signatures import (
    HEAD_LENGTH,
    content_contradiction,
    contradiction,
    families,
    is_program,
)

EVERY = [(extension, first) for extension, kinds in BEGINNINGS.items() for first in kinds]
TEXTS = {"txt", "csv", "svg", "html", "py"}
#: Files that begin alike, or may.
ALIKE = [{"zip", "docx", "odt", "epub"}, {"gz", "tgz"}, {"flac", "ogg"}, {"flac", "mp3"}]


def whole(first: bytes, extension: str) -> bytes:
    return first + (b"x" if extension in TEXTS else b"\x00") * 600


@pytest.mark.parametrize(("extension", "first"), EVERY, ids=lambda value: str(value)[:30])
def test_every_kind_of_file_is_taken_for_what_it_is(extension: str, first: bytes) -> None:
    head = whole(first, extension)
    assert content_contradiction(f"file.{extension}", "", head) is None
    assert content_contradiction(f"FILE.{extension.upper()} ", "", head) is None
    assert content_contradiction(f"file.{extension}", "application/octet-stream", head) is None
    assert content_contradiction("file.unknown", "", head) is None
    assert content_contradiction("no extension", "x/y", head) is None


#: Of these everything else is told apart; beginnings of others are too various.
CERTAIN = ["png", "jpg", "gif", "bmp", "webp", "pdf", "zip", "7z", "rar", "gz", "xz", "flac", "exe"]


@pytest.mark.parametrize("extension", CERTAIN)
def test_nothing_else_passes_for_a_file_with_a_signature(extension: str) -> None:
    for other in BEGINNINGS:
        alike = other == extension or any({extension, other} <= kinds for kinds in ALIKE)
        found = content_contradiction(f"file.{extension}", "", whole(beginning(other), other))
        assert (found is None) == alike, (extension, other, found)
    assert content_contradiction(f"file.{extension}", "", b"<?php system('id'); ?>")
    assert content_contradiction(f"file.{extension}", "", bytes(range(1, 200)))


@pytest.mark.parametrize("extension", ["txt", "csv", "svg", "json", "mp4", "mp3", "doc", "ttf"])
@pytest.mark.parametrize("other", ["png", "zip", "pdf", "exe", "7z"])
def test_what_has_no_signature_of_its_own_is_not_that_of_another(
    extension: str, other: str
) -> None:
    head = whole(beginning(other), other)
    taken = extension == "doc" and other == "zip"
    assert (content_contradiction(f"file.{extension}", "", head) is None) == taken


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg; charset=binary"),
        ("a.jpg", "image/pjpeg"),
        # As Windows declares them.
        ("a.csv", "application/vnd.ms-excel"),
        ("a.zip", "application/x-zip-compressed"),
        ("a.rtf", "application/msword"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        # As browsers do: TypeScript, and video.
        ("a.ts", "video/mp2t"),
        ("a.m4a", "audio/mp4"),
        ("a.ogg", "video/ogg"),
        ("a.svgz", "image/svg+xml"),
        ("a.json", "application/json"),
        ("a.xml", "text/xml"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown", "image/png"),
        ("a.png", "application/octet-stream"),
        ("a.png", ""),
        ("a", "text/plain"),
    ],
)
def test_names_and_types_that_agree(name: str, mime_type: str) -> None:
    assert contradiction(name, mime_type) is None


@pytest.mark.parametrize(
    ("name", "mime_type", "said"),
    [
        ("a.png", "application/pdf", "PNG ≠ PDF"),
        ("a.pdf", "image/jpeg", "PDF ≠ JPEG"),
        ("a.jpg", "text/html", "JPEG ≠ text"),
        ("a.txt", "application/zip", "text ≠ ZIP"),
        ("a.zip", "image/png; charset=x", "ZIP ≠ PNG"),
    ],
)
def test_names_and_types_that_exclude_each_other(name: str, mime_type: str, said: str) -> None:
    assert contradiction(name, mime_type) == said


def test_the_declared_type_counts_where_the_name_says_nothing() -> None:
    pdf = whole(beginning("pdf"), "pdf")
    assert content_contradiction("scan", "image/png", pdf) == "PNG ≠ PDF"
    assert content_contradiction("scan", "application/pdf", pdf) is None


def test_nothing_contradicts_a_file_without_bytes() -> None:
    assert content_contradiction("a.png", "image/png", b"") is None
    assert families(b"") == frozenset()


@given(st.binary(max_size=HEAD_LENGTH), st.text(max_size=60), st.text(max_size=60))
def test_any_bytes_under_any_name_have_an_answer(head: bytes, name: str, mime_type: str) -> None:
    families(head)
    is_program(head)
    contradiction(name, mime_type)
    content_contradiction(name, mime_type, head)


@given(st.binary(min_size=64, max_size=300))
def test_a_program_is_told_wherever_its_header_points(filler: bytes) -> None:
    at = len(filler) + 4
    head = b"MZ" + filler[:58].ljust(58, b"x") + at.to_bytes(4, "little")
    head = head.ljust(at, b"\x00") + b"PE\x00\x00"
    assert is_program(head)
    assert not is_program(b"MZ" + b"etal fatigue.txt" * 20)


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
_BINARY = bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("name", "mime_type", "head"),
    [
        # What macOS puts beside a file on a disk of another system.
        ("._photo.jpg", "image/jpeg", _APPLE_DOUBLE + bytes(500)),
        ("._notes.pdf", "application/pdf", _APPLE_DOUBLE + bytes(500)),
        # Readers look in a whole kilobyte: mail gateways and printers write there.
        ("a.pdf", "application/pdf", b"\xef\xbb\xbf%PDF-1.4\n" + _BINARY),
        ("a.pdf", "application/pdf", b"\r\n%PDF-1.4\n" + _BINARY),
        ("a.pdf", "application/pdf", b"\x1b%-12345X@PJL JOB\r\n%PDF-1.4\n" + _BINARY),
        ("a.pdf", "application/pdf", b"\x00\x01" * 500 + b"%PDF-1.4\n" + _BINARY),
        ("form.fdf", "application/vnd.fdf", b"%FDF-1.2\n" + _BINARY),
        # A presentation of Keynote; a private key in binary.
        ("talk.key", "application/vnd.apple.keynote", b"PK\x03\x04" + _BINARY),
        ("talk.key", "", b"PK\x03\x04" + _BINARY),
        ("server.key", "", b"\x30\x82\x04\xa4" + _BINARY),
        # Encrypted templates and shows.
        ("a.dotx", "", _OLE + _BINARY),
        ("a.ppsx", "", _OLE + _BINARY),
        ("a.xltm", "", _OLE + _BINARY),
        # A program of Java that starts by itself: a script in front of the archive.
        ("app.jar", "application/java-archive", b"#!/bin/bash\n" + b"echo\n" * 900),
        ("a.zip", "application/zip", b"PK00PK\x03\x04" + _BINARY),
        # Before POSIX; empty; and with a first name that looks like something else.
        ("a.tar", "application/x-tar", b"a.txt".ljust(100, b"\x00") + b"0000644\x00" * 3),
        ("a.tar", "application/x-tar", bytes(HEAD_LENGTH)),
        ("a.tar", "application/x-tar", b"src/free.c".ljust(257, b"\x00") + b"ustar\x0000"),
        # Frames that a reader skips come first (RFC 8878, section 3.1.2).
        ("a.zst", "application/zstd", b"\x50\x2a\x4d\x18\x04\x00\x00\x00" + _BINARY),
        ("a.lz4", "application/x-lz4", b"\x02\x21\x4c\x18" + _BINARY),
        ("a.flac", "audio/flac", b"ID3\x03\x00\x00\x00\x00\x00\x10" + bytes(16) + b"fLaC"),
        ("a.flac", "audio/x-flac", b"OggS\x00\x02" + bytes(22) + b"\x7fFLAC"),
        ("a.wav", "audio/x-wav", b"BW64\xff\xff\xff\xffWAVEds64"),
        ("a.wav", "audio/wav", b"RF64\xff\xff\xff\xffWAVEds64"),
        ("a.mid", "audio/midi", b"RIFF\x10\x00\x00\x00RMIDdata"),
        # Of more than 512 MiB.
        ("a.mov", "video/quicktime", b"\x7f\xff\xff\xffmdat" + _BINARY),
        # Raw pictures, of which some are declared as what they resemble.
        ("a.dng", "image/tiff", b"II*\x00\x08\x00\x00\x00" + _BINARY),
        ("a.cr3", "image/x-canon-cr3", b"\x00\x00\x00\x18ftypcrx " + _BINARY),
        ("a.eps", "application/postscript", b"\xc5\xd0\xd3\xc6\x1e\x00\x00\x00" + _BINARY),
        ("a.ai", "application/postscript", b"%PDF-1.5\r" + _BINARY),
        ("a.csv", "application/vnd.ms-excel", "a;ä\n".encode("utf-16-le")),
        ("a.doc", "application/msword", b"<html><body>"),
    ],
)
def test_what_people_really_have_is_taken(name: str, mime_type: str, head: bytes) -> None:
    assert contradiction(name, mime_type) is None
    assert content_contradiction(name, mime_type, head[:HEAD_LENGTH]) is None


@pytest.mark.parametrize(
    ("name", "mime_type", "head"),
    [
        # Only beside a file, and only what is one.
        ("photo.jpg", "", _APPLE_DOUBLE + bytes(500)),
        ("._photo.jpg", "", b"<script>"),
        # A name that is nothing but its end.
        (".jpg", "", b"<script>"),
        (".PDF", "", b"<script>"),
        ("a.pdf", "", b"\x00" * 1024 + b"%PDF-1.4\n"),
        ("a.pdf", "", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100 + b"%PDF-1.4\n"),
        ("app.jar", "", b"%PDF-1.4\n" + _BINARY),
        ("a.tar", "", b"%PDF-1.4\n" + _BINARY),
        ("a.flac", "", b"\x89PNG\r\n\x1a\n" + _BINARY),
    ],
)
def test_what_only_resembles_it_is_not(name: str, mime_type: str, head: bytes) -> None:
    assert content_contradiction(name, mime_type, head)
