"""Every text can be translated, and each language that is offered is whole."""

import re
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from uploads.core.filenames import clean_filename, clean_folder

from .support.bodies import payload
from .support.sessions import upload
from .support.texts import (
    DOMAINS,
    PAGE_MODULES,
    TEMPLATES,
    in_python,
    in_template,
    languages,
    marked,
    read_mo,
    read_po,
    texts_of,
    unmarked,
)

LANGUAGES = languages()
GERMAN = {"Accept-Language": "de"}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]")

each_catalogue = pytest.mark.parametrize(
    ("language", "domain"), [(language, domain) for language in LANGUAGES for domain in DOMAINS]
)


def placeholders(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


def test_each_language_offered_has_its_catalogues() -> None:
    offered = {code for code, _ in settings.LANGUAGES} - {settings.LANGUAGE_CODE}
    assert set(LANGUAGES) == offered


@each_catalogue
def test_every_marked_text_is_in_the_catalogue_and_nothing_else(language: str, domain: str) -> None:
    known = {(entry.msgid, entry.msgid_plural) for entry in read_po(language, domain)}
    assert known == marked(domain), "run `make messages` and translate what is new"


@each_catalogue
def test_every_text_is_translated(language: str, domain: str) -> None:
    catalogue = read_po(language, domain)
    forms = int(catalogue.metadata["Plural-Forms"].partition("nplurals=")[2].partition(";")[0])
    for entry in catalogue:
        assert not entry.fuzzy, entry.msgid
        assert all(texts_of(entry)), entry.msgid
        assert len(texts_of(entry)) == (forms if entry.msgid_plural else 1), entry.msgid


@each_catalogue
def test_a_translation_has_the_placeholders_of_its_text(language: str, domain: str) -> None:
    for entry in read_po(language, domain):
        for text in [*texts_of(entry), entry.msgid_plural or entry.msgid]:
            assert placeholders(text) == placeholders(entry.msgid), entry.msgid


@each_catalogue
def test_the_compiled_catalogue_is_that_of_today(language: str, domain: str) -> None:
    written, compiled = read_po(language, domain), read_mo(language, domain)
    assert {(e.msgid, e.msgid_plural, *texts_of(e)) for e in compiled} == {
        (e.msgid, e.msgid_plural, *texts_of(e)) for e in written
    }
    assert compiled.metadata == written.metadata


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_other_catalogue_speaks_in_the_place_of_ours(language: str) -> None:
    with translation.override(language):
        for entry in read_po(language, "django"):
            one, *more = texts_of(entry)
            said = translation.ngettext(entry.msgid, entry.msgid_plural, 1) if more else None
            assert (said or translation.gettext(entry.msgid)) == one


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_no_text_of_a_template_is_left_unmarked(path: Path) -> None:
    assert unmarked(path.read_text()) == []


def test_each_failure_of_the_upload_module_has_a_sentence_of_the_page() -> None:
    modules = "".join(path.read_text() for path in PAGE_MODULES.glob("*.js"))
    codes = set(re.findall(r'\bcode: "(\w+)"', modules))
    said = set(re.findall(r'case "(\w+)":', (PAGE_MODULES / "page" / "words.js").read_text()))
    assert codes
    assert codes <= said


def test_a_refused_name_is_refused_in_the_language_of_the_person(
    alice_client: Client, alice: User
) -> None:
    session = upload(alice, payload(10))
    answer = alice_client.post(f"/uploads/{session.pk}/rename", {"filename": " "}, headers=GERMAN)
    assert answer.status_code == 422
    page = unescape(answer.content.decode())
    assert '<html lang="de">' in page
    assert "Ein Dateiname darf nicht leer sein" in page


def test_the_page_is_given_the_texts_of_the_language_it_is_in(alice_client: Client) -> None:
    answer = alice_client.get("/texts.js", headers=GERMAN)
    assert "Accept-Language" in answer["Vary"]
    assert "Dateien ausgew\\u00e4hlt" in answer.content.decode()


@pytest.mark.parametrize("name", ["", "n" * 256, "a/b", "a\0b"])
def test_every_reason_against_a_file_name_can_be_translated(name: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (its text is what this is about)
        clean_filename(name)
    assert (str(refused.value), "") in marked("django")


@pytest.mark.parametrize("folder", ["/a", "a\\b", "a/../b", "a/" * 65, "n" * 256, "abc/" * 300])
def test_every_reason_against_a_folder_can_be_translated(folder: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        clean_folder(folder)
    assert (str(refused.value), "") in marked("django")


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        '<p>{% translate "Hello" %} again</p>',
        '<button aria-label="Close it">{{ name }}</button>',
        '<input placeholder="Search{% if a %} more{% endif %}">',
        "{% blocktranslate %}a{% endblocktranslate %}b{% blocktranslate %}c{% endblocktranslate %}",
        '{{ moment|date:"j M Y" }}',
    ],
)
def test_an_unmarked_text_is_seen(source: str) -> None:
    assert unmarked(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('{% translate "Hello" %}', ("Hello", "")),
        ("<p title=\"{% translate 'Hello' %}\">", ("Hello", "")),
        ('{{ name|default:_("Nobody") }}', ("Nobody", "")),
        (
            "{% blocktranslate count n=a with b=c|d %}{{ n }} of {{ b }}{% plural %}{{ n }}s"
            "{% endblocktranslate %}",
            ("%(n)s of %(b)s", "%(n)ss"),
        ),
    ],
)
def test_a_marked_text_of_a_template_is_seen(source: str, text: tuple[str, str]) -> None:
    assert in_template(source) == {text}
    assert unmarked(source) == []


def test_a_marked_text_of_python_is_seen() -> None:
    source = 'gettext("one")\n_("two " "lines")\nngettext("%d a", "%d as", n)\ngettext(reason)'
    assert in_python(source) == {("one", ""), ("two lines", ""), ("%d a", "%d as")}
