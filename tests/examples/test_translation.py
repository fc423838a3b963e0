"""The example in German: whole, compiled, and not overruled by another catalogue."""

from pathlib import Path

import polib
import pytest
from django.test import Client
from django.utils import translation

from examples.topic_collections.models import TopicCollection
from tests.support.server import REPOSITORY
from tests.support.texts import Text, in_python, in_template, texts_of, unmarked

from .conftest import Send, edit_url, errors_of, save

EXAMPLE = REPOSITORY / "examples" / "topic_collections"
CATALOGUE = EXAMPLE / "locale" / "de" / "LC_MESSAGES" / "django.po"
GERMAN = {"Accept-Language": "de"}


def marked() -> set[Text]:
    """In its templates and modules."""
    templates = [in_template(path.read_text()) for path in EXAMPLE.rglob("*.html")]
    modules = [in_python(path.read_text()) for path in EXAMPLE.rglob("*.py")]
    return set().union(*templates, *modules)


def test_every_marked_text_is_in_the_catalogue_and_nothing_else() -> None:
    known = {(entry.msgid, entry.msgid_plural) for entry in polib.pofile(str(CATALOGUE))}
    assert known == marked(), "run `make messages` and translate what is new"


def test_every_text_is_translated_and_compiled() -> None:
    written = polib.pofile(str(CATALOGUE))
    for entry in written:
        assert not entry.fuzzy, entry.msgid
        assert all(texts_of(entry)), entry.msgid
    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    assert {(e.msgid, *texts_of(e)) for e in compiled} == {(e.msgid, *texts_of(e)) for e in written}


def test_no_other_catalogue_speaks_in_the_place_of_this_one() -> None:
    with translation.override("de"):
        for entry in polib.pofile(str(CATALOGUE)):
            one, *more = texts_of(entry)
            said = translation.ngettext(entry.msgid, entry.msgid_plural, 1) if more else None
            assert (said or translation.gettext(entry.msgid)) == one


@pytest.mark.parametrize("path", sorted(EXAMPLE.rglob("*.html")), ids=lambda path: path.name)
def test_no_text_of_a_template_is_left_unmarked(path: Path) -> None:
    assert unmarked(path.read_text()) == []


def test_the_page_and_its_errors_are_in_the_language_of_the_person(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    page = alice_client.get(edit_url(collection), headers=GERMAN).content.decode()
    assert "Eine Datei an ihrer Stelle" in page
    alice_client.cookies["django_language"] = "de"
    [error] = errors_of(save(alice_client, collection, send(b"\xff")))
    assert "ist kein Text in UTF-8" in error
