"""A plain FileField of a project looks at files by the same checks (B5)."""

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from tests.support.signatures import file_of
from uploads.forms import validate_uploaded_file


def file(name: str, content: bytes, content_type: str = "") -> SimpleUploadedFile:
    given = SimpleUploadedFile("x", content, content_type)
    # Django itself cuts a path off; what is asked here is what the validator does.
    given._name = name  # type: ignore[attr-defined]
    return given


def test_an_honest_file_passes_and_is_left_at_its_beginning() -> None:
    given = file("a.png", file_of("png"), "image/png")
    validate_uploaded_file(given)
    assert given.read() == file_of("png")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (file("a.php", b"<?php"), "type_not_allowed"),
        (file("a.png", file_of("png"), "text/html"), "type_not_allowed"),
        (file("a.png", file_of("pdf"), "image/png"), "content_refused"),
        (file("a.bin", file_of("exe")), "content_refused"),
        (file("a\u202egnp.exe", b"x"), "invalid_filename"),
        (file("../a.png", file_of("png")), "invalid_filename"),
    ],
    ids=str,
)
def test_what_an_upload_would_be_refused_for(given: SimpleUploadedFile, code: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        validate_uploaded_file(given)
    assert refusal.value.code == code


def test_the_settings_count_here_too(settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "ALLOWED_EXTENSIONS": ["txt"], "CHECK_CONTENT": False}
    validate_uploaded_file(file("a.txt", file_of("png")))
    with pytest.raises(ValidationError):
        validate_uploaded_file(file("a.png", file_of("png")))
