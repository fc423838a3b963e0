"""File names: what is kept, and what would lie or lead somewhere (B5, B10)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.filenames import (
    MAX_FILENAME_LENGTH,
    MAX_FOLDER_DEPTH,
    MAX_FOLDER_LENGTH,
    MAX_SEARCH_NAME_BYTES,
    clean_filename,
    clean_folder,
    joined,
    search_name,
)


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


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("", ""),
        (".", ""),
        ("photos", "photos"),
        ("photos/2026", "photos/2026"),
        ("photos//2026/", "photos/2026"),
        ("./photos/./2026", "photos/2026"),
        (" two words / x ", "two words/x"),
        ("cafe\u0301/...", "caf\u00e9/..."),
        ("a/" * MAX_FOLDER_DEPTH, "a/" * (MAX_FOLDER_DEPTH - 1) + "a"),
        ("/".join(["a" * 255] * 4), "/".join(["a" * 255] * 4)),
    ],
)
def test_folders_are_kept_without_what_means_nothing(raw: str, kept: str) -> None:
    assert clean_folder(raw) == kept


@pytest.mark.parametrize(
    "raw",
    [
        "/",
        "/etc",
        "..",
        "a/../b",
        "a/ .. /b",
        "a/..",
        "a\\b",
        "C:\\x",
        "\\",
        "a/ /b",
        "a/ . /b",
        "a/nul\x00",
        "a/\u202eb",
        "\ud800",
        "a/" + "b" * 256,
        "a/" * (MAX_FOLDER_DEPTH + 1),
        "/".join(["a" * 255] * 4) + "/b",
    ],
)
def test_folders_that_are_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="a folder"):
        clean_folder(raw)


@given(st.text(st.sampled_from("a./\\ \u0301e\n"), max_size=40) | st.text(max_size=1200))
def test_a_folder_that_is_accepted_is_accepted_again_and_leads_nowhere_else(raw: str) -> None:
    try:
        folder = clean_folder(raw)
    except ValueError:
        return
    assert clean_folder(folder) == folder
    assert len(folder) <= MAX_FOLDER_LENGTH
    assert folder == "" or not {"", ".", ".."} & set(folder.split("/"))


def test_a_path_has_a_slash_only_below_a_folder() -> None:
    assert (joined("", "f"), joined("a/b", "f")) == ("f", "a/b/f")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Photos/IMG_1.JPG", "photos/img_1.jpg"),
        ("STRASSE/stra\u00dfe", "strasse/strasse"),
        ("\u00c5ngstr\u00f6m", "\u00e5ngstr\u00f6m"),
        # Taken apart by the folding, put together again.
        ("\u0390", "\u0390"),
    ],
)
def test_case_does_not_matter_to_a_search(path: str, expected: str) -> None:
    assert search_name(path) == expected


@pytest.mark.parametrize("character", ["a", "\u65e5", "\U0001f600", "\u1fb7"])
def test_the_longest_path_fits_an_index_and_is_found_by_its_name(character: str) -> None:
    folder = "/".join([character * 200] * 5)
    name = character * (MAX_FILENAME_LENGTH - 4) + ".TXT"
    found = search_name(joined(folder, name))
    assert len(found.encode()) <= MAX_SEARCH_NAME_BYTES
    assert found.startswith(search_name(character * 200))
    assert found.endswith("/" + search_name(name))
