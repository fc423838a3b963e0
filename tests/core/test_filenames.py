"""File names: what is kept, and what would lie or lead somewhere (B5, B10)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.filenames import MAX_FILENAME_LENGTH, clean_filename


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        "two words.txt",
        ".gitignore",
        "...",
        "no extension",
        "日本語.txt",
        "😀 party 👩‍👩‍👧.png",
        "שלום.txt",
        "مرحبا بالعالم.pdf",
        "a" * MAX_FILENAME_LENGTH,
        "😀" * MAX_FILENAME_LENGTH,
        "quote\"s and 'others' <b>.html",
        "percent%2F..%2Fname",
        "semi;colon=1.txt",
        "-rf",
        "CON",
    ],
)
def test_names_that_are_kept_as_they_are(name: str) -> None:
    assert clean_filename(name) == name


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("  spaces.txt \t", "spaces.txt"),
        ("cafe\u0301.txt", "caf\u00e9.txt"),
        ("\u212bngstro\u0308m", "\u00c5ngstr\u00f6m"),
    ],
)
def test_names_are_trimmed_and_in_normal_form_c(raw: str, kept: str) -> None:
    assert clean_filename(raw) == kept


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "\t\n",
        ".",
        "..",
        " .. ",
        "/etc/passwd",
        "../up.txt",
        "a/b",
        "a\\b",
        "C:\\file.txt",
        "..\\..\\boot.ini",
        "nul\x00byte.txt",
        "line\nbreak",
        "carriage\rreturn",
        "escape\x1b[31m",
        "delete\x7f",
        "c1\x85control",
        "lone\ud800surrogate",
        "invoice\u202excod.exe",
        "a\u202ab",
        "a\u202db",
        "a\u2066b\u2069",
        "a" * (MAX_FILENAME_LENGTH + 1),
    ],
)
def test_names_that_are_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="a file name"):
        clean_filename(raw)


@given(st.text(max_size=300))
def test_a_name_that_is_accepted_is_accepted_again_unchanged(raw: str) -> None:
    try:
        name = clean_filename(raw)
    except ValueError:
        return
    assert clean_filename(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert 0 < len(name) <= MAX_FILENAME_LENGTH
    assert not {"/", "\\", "\x00"} & set(name)
