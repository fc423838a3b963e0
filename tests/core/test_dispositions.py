"""The name of a download: what every browser understands, and every disk can have (RFC 6266)."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.dispositions import attachment, saved_name


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("Résumé 1.pdf", ("Resume 1.pdf", "R%C3%A9sum%C3%A9%201.pdf")),
        ("日本.txt", ("__.txt", "%E6%97%A5%E6%9C%AC.txt")),
        ('ä"b\\c;d.txt', ("a_b_c;d.txt", "%C3%A4_b_c%3Bd.txt")),
        ("100%25.txt", ("100_25.txt", "100%2525.txt")),
        ("Ω (1).txt", ("_ (1).txt", "%CE%A9%20%281%29.txt")),
    ],
)
def test_both_forms_of_a_name(name: str, forms: tuple[str, str]) -> None:
    plain, encoded = forms
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


@pytest.mark.parametrize("name", ["report.pdf", "it's (1).txt", "a;b.txt", ".bashrc"])
def test_a_plain_name_needs_one_form(name: str) -> None:
    assert attachment(name) == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("LPT9 .log", "_LPT9 .log"),
        ("com².x", "_com².x"),
        ("console.txt", "console.txt"),
        ("a:b.txt", "a_b.txt"),
        ("what?.txt", "what_.txt"),
        ("name. . ", "name_"),
        ("...", "_"),
        ("", "_"),
        ("..\\..\\x", ".._.._x"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x"),
        (".bashrc", ".bashrc"),
    ],
)
def test_a_name_that_some_system_cannot_have_is_changed(name: str, saved: str) -> None:
    assert saved_name(name) == saved


def test_a_name_that_is_too_long_in_bytes_keeps_its_end() -> None:
    saved = saved_name("😀" * 200 + ".pdf")
    assert len(saved.encode()) <= 255
    assert saved.endswith("😀.pdf")
    assert len(saved_name("é" * 255).encode()) <= 255


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_name_adds_anything_to_the_header(name: str) -> None:
    value = attachment(name)
    assert value.isascii()
    assert value.isprintable()
    first, quoted, rest = value.split('"')
    assert first == "attachment; filename="
    assert "\\" not in quoted
    assert unquote(rest.removeprefix("; filename*=UTF-8''")) in {saved_name(name), ""}
    assert rest or quoted == saved_name(name)
    assert len(saved_name(name).encode()) <= 255
