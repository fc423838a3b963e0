"""Uploads that are made for something: found there again, nowhere else, and only what may come."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.support.bodies import cut, payload
from tests.support.sessions import TINY_CHUNK, begin, content_of, fresh, handshake, send, upload
from uploads.engine.admitting import Admission, check_admission, make_scope
from uploads.engine.opening import Outcome
from uploads.errors import FileTypeNotAllowed, TicketExpired, TooLarge
from uploads.models import FileSession

DATA = payload(350)
FORM, OTHER_FORM = Admission("a form"), Admission("another form")


def test_an_upload_is_found_again_in_its_scope_only(alice: User) -> None:
    first = begin(alice, DATA, admission=FORM)
    assert handshake(alice, DATA, admission=FORM) == (Outcome.RESUMED, first)
    for admission in (OTHER_FORM, Admission()):
        outcome, other = handshake(alice, DATA, admission=admission)
        assert (outcome, other.scope) == (Outcome.CREATED, admission.scope)


def test_by_its_key_too(alice: User) -> None:
    given: Any = {"sha256": "", "resume_key": "a key"}
    first = begin(alice, DATA, admission=FORM, **given)
    assert begin(alice, DATA, admission=FORM, **given) == first
    assert begin(alice, DATA, admission=OTHER_FORM, **given) != first
    assert fresh(first).resume_key == "a key"


def test_known_content_gets_a_session_of_the_scope_on_the_same_file(alice: User) -> None:
    elsewhere = upload(alice, DATA)
    outcome, session = handshake(alice, DATA, admission=FORM)
    assert (outcome, session.scope, session.status) == (Outcome.FILE_EXISTS, "a form", "completed")
    assert session.pk != elsewhere.pk
    assert session.stored_file_id == elsewhere.stored_file_id
    assert handshake(alice, DATA, admission=FORM) == (Outcome.FILE_EXISTS, session)
    assert content_of(session) == DATA


def test_what_is_complete_in_a_form_is_not_answered_elsewhere(alice: User) -> None:
    in_form = upload(alice, DATA, admission=FORM)
    outcome, session = handshake(alice, DATA)
    assert (outcome, session.scope) == (Outcome.FILE_EXISTS, "")
    assert session.pk != in_form.pk


def test_nobody_elses_content_is_known(alice: User, bob: User) -> None:
    upload(bob, DATA, admission=FORM)
    assert handshake(alice, DATA, admission=FORM)[0] == Outcome.CREATED


def test_an_old_ticket_finds_what_was_begun_and_begins_nothing(alice: User) -> None:
    old = Admission("a form", may_open=False)
    with pytest.raises(TicketExpired):
        begin(alice, DATA, admission=old)
    assert not FileSession.objects.exists()
    session = begin(alice, DATA, admission=FORM)
    send(session, 0, cut(DATA, TINY_CHUNK)[0])
    outcome, found = handshake(alice, DATA, admission=old)
    assert (outcome, found.pk) == (Outcome.RESUMED, session.pk)


def test_an_old_ticket_does_not_make_known_content_the_forms(alice: User) -> None:
    upload(alice, DATA)
    with pytest.raises(TicketExpired):
        begin(alice, DATA, admission=Admission("a form", may_open=False))


@pytest.mark.parametrize(
    ("admission", "refusal"),
    [
        (Admission(max_size=349), TooLarge),
        (Admission(extensions=("txt",)), FileTypeNotAllowed),
        (Admission(types=("image/*", "text/html")), FileTypeNotAllowed),
    ],
)
def test_what_is_not_admitted_is_refused_before_anything_is_kept(
    alice: User, admission: Admission, refusal: Any
) -> None:
    with pytest.raises(refusal):
        begin(alice, DATA, filename="a.bin", mime_type="text/plain", admission=admission)
    assert not FileSession.objects.exists()


@pytest.mark.parametrize(
    ("filename", "mime_type"),
    [
        ("a.txt", "text/plain"),
        ("A.TXT", "Text/Plain; charset=utf-8"),
        ("a.b.txt", "image/png"),
        ("a.tar.gz", ""),
        ("a.txt", "application/octet-stream"),
    ],
)
def test_names_and_types_that_are_admitted(filename: str, mime_type: str) -> None:
    types = ("text/plain", "image/*", "application/octet-stream")
    admission = Admission(extensions=("txt", "tar.gz"), types=types)
    check_admission(admission, filename, 10, mime_type)


@pytest.mark.parametrize("filename", ["txt", "a.txt.exe", "atxt", "a.gz"])
def test_an_extension_stands_at_the_end_behind_a_dot(filename: str) -> None:
    with pytest.raises(FileTypeNotAllowed, match=r"\.txt, \.tar\.gz"):
        check_admission(Admission(extensions=("txt", "tar.gz")), filename, 10, "")


def test_an_unknown_type_is_octets() -> None:
    with pytest.raises(FileTypeNotAllowed, match="text/plain"):
        check_admission(Admission(types=("text/plain",)), "a.txt", 10, "")


def test_no_two_lists_of_parts_make_the_same_scope() -> None:
    parts = [("a", "b|c"), ("a|b", "c"), ("a\\|b", "c"), ("a\\", "b|c"), ("a", "b", "c")]
    assert len({make_scope(*each) for each in parts}) == len(parts)


def test_a_scope_that_no_column_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        make_scope("a" * 300)
