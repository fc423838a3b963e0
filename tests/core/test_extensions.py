"""The ends of names: those that are refused, and those that only look like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.extensions import (
    DANGEROUS,
    denied_end,
    disguised_end,
    extension_of,
    has_extension,
)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("setup.exe", "exe"),
        ("SETUP.EXE", "exe"),
        ("setup.exe.", "exe"),
        ("setup.exe . . ", "exe"),
        ("setup.exe\u3000", "exe"),
        ("setup.\uff45\uff58\uff45", "exe"),
        ("setup.e\u200bxe", "exe"),
        ("setup.exe\ufeff", "exe"),
        ("shell.php", "php"),
        ("shell.PhP7", "php7"),
        ("shell.php.jpg", "php"),
        ("shell.asp;.jpg", "asp"),
        ("shell.php%00.png", "php"),
        ("shell.php .png", "php"),
        ("shell.php\u3000.png", "php"),
        ("shell.asp;x y.jpg", "asp"),
        ("shell.exe;x y", "exe"),
        ("shell.php::$DATA", "php"),
        ("notes.txt:hidden.exe", "exe"),
        (".htaccess", "htaccess"),
        ("web.config", "web.config"),
        ("WEB.CONFIG", "web.config"),
        (".user.ini", ".user.ini"),
        ("link.lnk", "lnk"),
        ("x.settingcontent-ms", "settingcontent-ms"),
    ],
)
def test_a_dangerous_end_is_found_however_it_hides(name: str, end: str) -> None:
    assert denied_end(name, DANGEROUS) == end


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        "archive.tar.gz",
        "www.example.com.pdf",
        "setup.exe.zip",
        "exe",
        "php",
        "my exe.txt",
        "app.config",
        "user.ini",
        "notes.php-intro.md",
        "script.js",
        "page.html",
        "tool.py",
        "build.sh",
        "...",
        "",
        "12:30 talk.mp3",
        "photo.com_2024.jpg",
        "1. PHP Grundlagen.pdf",
        "2. PHP.pdf",
        "1. ASP.NET Core.pdf",
        "3. CGI in films.mov",
        "How to run .exe files",
        "About .php pages.docx",
    ],
)
def test_an_honest_name_is_not_taken_for_a_dangerous_one(name: str) -> None:
    assert denied_end(name, DANGEROUS) is None
    assert disguised_end(name) is None


def test_only_what_is_denied_is_refused() -> None:
    assert denied_end("setup.exe", ["php"]) is None
    assert denied_end("a.tar.gz", ["tar.gz"]) == "tar.gz"
    assert denied_end("a.gz", ["tar.gz"]) is None
    assert denied_end("shell.php.jpg", ["exe"]) is None


@pytest.mark.parametrize(
    "name",
    [
        "invoice.pdf.exe",
        "invoice.pdf      .exe",
        "photo.JPG.scr",
        "a.docx.lnk.",
        "x.txt.\uff43\uff4f\uff4d",
    ],
)
def test_a_program_that_looks_like_a_document_is_a_disguise(name: str) -> None:
    assert disguised_end(name)


def test_allowed_ends_are_found_without_regard_to_case() -> None:
    assert has_extension("A.TAR.GZ", ["tar.gz"])
    assert has_extension("a.Pdf ", ["txt", "pdf"])
    assert not has_extension("pdf", ["pdf"])
    assert not has_extension("apdf", ["pdf"])


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.PDF", "pdf"), ("a.tar.gz", "gz"), (".jpg", "jpg"), ("a", ""), ("a.", ""), ("", "")],
)
def test_the_last_extension(name: str, extension: str) -> None:
    assert extension_of(name) == extension


@given(st.text(max_size=255))
def test_any_name_has_an_answer(name: str) -> None:
    denied_end(name, DANGEROUS)
    disguised_end(name)
    extension_of(name)
