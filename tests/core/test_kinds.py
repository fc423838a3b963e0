"""What kind of file it is: by its media type, else by its name, on every machine alike."""

import pytest

from uploads.core.kinds import kind_of
from uploads.models import FileKind


@pytest.mark.parametrize(
    ("filename", "mime_type", "kind"),
    [
        ("a", "image/png", "image"),
        ("a", "IMAGE/SVG+xml", "image"),
        ("a", "video/x-matroska", "video"),
        ("a", "audio/ogg", "audio"),
        ("a", "text/plain; charset=utf-8", "document"),
        ("a", "application/pdf", "document"),
        ("a", "application/vnd.oasis.opendocument.text", "document"),
        (
            "a",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "document",
        ),
        ("a", "application/zip", "archive"),
        ("a.tar.gz", "", "archive"),
        ("IMG.JPEG", "", "image"),
        ("song.flac", "application/octet-stream", "audio"),
        ("film.mkv", "nonsense", "video"),
        # What is declared is known better than what a name says.
        ("film.mkv", "image/png", "image"),
        ("notes.md", "", "document"),
        ("a", "", "other"),
        ("a.unknown", "application/octet-stream", "other"),
        ("jpg", "", "other"),
        (".zip", "", "other"),
        ("a.", "", "other"),
    ],
)
def test_what_a_file_is_to_people(filename: str, mime_type: str, kind: str) -> None:
    assert kind_of(filename, mime_type) == kind
    assert kind in FileKind.values
