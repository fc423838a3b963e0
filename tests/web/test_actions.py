"""What the forms of the pages do: to one's own uploads only, by POST only, and back to the page."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from uploads.engine.trash import UNDO, purge_trash
from uploads.models import FileSession, SessionStatus, Usage

from .documents import Element, parse
from .pages import (
    STATES,
    address,
    completed,
    damaged,
    make_session,
    names,
    notices,
    rows,
    shown,
    trashed,
)

pytestmark = pytest.mark.django_db
REMOVE_CHOSEN = "/uploads/remove"
RESTORE = "/uploads/restore"


def post(client: Client, url: str, *chosen: object, **headers: str) -> Any:
    data = {"id": [str(one) for one in chosen]}
    return client.post(url, data, headers=headers or None)


def remove(client: Client, session: FileSession, **headers: str) -> Any:
    return post(client, address(session, "remove"), **headers)


def listed(owner: User) -> set[str]:
    return set(FileSession.objects.owned_by(owner).values_list("filename", flat=True))


def undo_notice(document: Element) -> Element | None:
    found = [e for e in document.walk() if e.get("id") == "undo-notice"]
    return found[0] if found else None


def all_actions(session: FileSession) -> dict[str, dict[str, str]]:
    """Every address that changes something, with what to send there."""
    return {
        address(session, "remove"): {},
        address(session, "rename"): {"filename": "other.txt"},
        REMOVE_CHOSEN: {"id": str(session.pk)},
        RESTORE: {"id": str(session.pk)},
    }


def untouched(*sessions: FileSession) -> bool:
    """Whether each is as it was."""
    return all(
        FileSession.objects.filter(
            pk=session.pk,
            filename=session.filename,
            status=session.status,
            trashed_at=session.trashed_at,
        ).exists()
        for session in sessions
    )


# --------------------------------------------------------------------------- who may, and how


def test_nothing_changes_by_following_a_link(alice: User, alice_client: Client) -> None:
    session = completed(alice)
    for url, data in all_actions(session).items():
        response = alice_client.get(url, data)
        # After a reload or a sign-in, where nobody wants to read of methods.
        assert (response.status_code, response["Location"]) == (303, "/")
    assert untouched(session)


def test_nothing_changes_without_the_token_of_the_page(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    session, gone = completed(alice), trashed(alice)
    for url, data in {**all_actions(session), RESTORE: {"id": str(gone.pk)}}.items():
        assert client.post(url, data).status_code == 403
        forged = {**data, "csrfmiddlewaretoken": "x" * 64}
        assert client.post(url, forged).status_code == 403
    assert untouched(session, gone)


def test_the_forms_of_a_page_carry_its_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    session = completed(alice)
    document = shown(client, address(session))
    for form in document.all("form"):
        if form.get("method") == "post":
            (field,) = [e for e in form.all("input") if e.get("name") == "csrfmiddlewaretoken"]
            assert re.fullmatch(r"\w{64}", field.get("value"))
            url = form.get("action")
            if url != "/sign-out/":
                data = {"csrfmiddlewaretoken": field.get("value"), "filename": "new.txt"}
                assert client.post(url, data).status_code == 303
    assert listed(alice) == {"new.txt"}


def test_who_is_signed_out_is_asked_to_sign_in_and_comes_back_to_the_page(
    alice: User, client: Client
) -> None:
    session = completed(alice)
    for url, data in all_actions(session).items():
        headers = {"Referer": "http://testserver/?q=tide"}
        response = client.post(url, data, headers=headers)
        assert response.status_code == 302
        assert response["Location"] == "/sign-in/?next=http%3A//testserver/%3Fq%3Dtide"
    assert untouched(session)


def test_p9_nobody_changes_what_is_another_s(alice: User, bob_client: Client) -> None:
    for session in [make(alice) for make in STATES.values()]:
        for verb in ("remove", "rename"):
            response = bob_client.post(address(session, verb), {"filename": "stolen.txt"})
            assert response.status_code == 404
        post(bob_client, REMOVE_CHOSEN, session.pk)
        assert untouched(session)


def test_p9_nobody_brings_back_what_is_another_s(alice: User, bob_client: Client) -> None:
    session = trashed(alice)
    post(bob_client, RESTORE, session.pk)
    assert untouched(session)
    # Nor is there a word more about it than about what never was.
    of_hers = notices(shown(bob_client, "/"))
    post(bob_client, RESTORE, uuid4())
    assert notices(shown(bob_client, "/")) == of_hers


def test_what_does_not_exist_is_not_found(alice_client: Client) -> None:
    for verb in ("remove", "rename"):
        url = f"/uploads/{uuid4()}/{verb}"
        assert alice_client.post(url, {"filename": "a.txt"}).status_code == 404


# ------------------------------------------------------------------------------- where it leads


@pytest.mark.parametrize("header", ["Referer", "HX-Current-URL"])
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://testserver/?q=a%20b&sort=name", "http://testserver/?q=a%20b&sort=name"),
        ("http://testserver/", "http://testserver/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("http://testserver.evil.example/", "/"),
        ("http://testserver@evil.example/", "/"),
        ("http://testserver:81/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("http:///evil.example/", "/"),
        ("\\\\evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("data:text/html,x", "/"),
        ("http://[", "/"),
    ],
)
def test_an_action_leads_back_to_where_it_came_from_and_never_to_another_site(
    alice: User, alice_client: Client, header: str, origin: str, expected: str
) -> None:
    gone = trashed(alice)
    session = completed(alice)
    for url, chosen in (
        (address(session, "remove"), ()),
        (REMOVE_CHOSEN, (session.pk,)),
        (RESTORE, (gone.pk,)),
    ):
        response = post(alice_client, url, *chosen, **{header: origin})
        assert (response.status_code, response["Location"]) == (303, expected)
        FileSession.objects.filter(pk=session.pk).update(trashed_at=None)


def test_a_signed_out_action_never_leads_to_another_site(client: Client) -> None:
    response = post(client, REMOVE_CHOSEN, Referer="https://evil.example/")
    assert response["Location"] == "/sign-in/?next=/"


def test_a_secure_page_is_never_left_for_an_insecure_one(alice: User, alice_client: Client) -> None:
    headers = {"HX-Current-URL": "http://testserver/?q=a"}
    response = alice_client.post(REMOVE_CHOSEN, {}, headers=headers, secure=True)
    assert response["Location"] == "/"


@pytest.mark.parametrize("verb", ["", "?x=1", "rename"])
def test_after_deleting_from_its_own_page_there_is_no_such_page_to_return_to(
    alice: User, alice_client: Client, verb: str
) -> None:
    """Nor to the address of the form whose refusal, without JavaScript, is a page as well."""
    session = completed(alice)
    origin = f"http://testserver{address(session, verb)}"
    response = remove(alice_client, session, Referer=origin)
    assert (response.status_code, response["Location"]) == (303, "/")


# ------------------------------------------------------------------------------------ deleting


@pytest.mark.parametrize("make", [completed, damaged])
def test_a_deleted_file_is_gone_and_can_be_brought_back_for_some_seconds(
    alice: User, alice_client: Client, make: Any
) -> None:
    session, other = make(alice, "gone.txt"), completed(alice, "other.txt")
    remove(alice_client, session)
    document = shown(alice_client, "/")
    assert listed(alice) == {other.filename}
    assert Usage.objects.get(owner=alice).stored_files == 1
    notice = undo_notice(document)
    assert notice
    assert notice.all("p")[0].text == "“gone.txt” was deleted."
    assert UNDO.total_seconds() - 15 <= int(notice.get("data-refresh-in")) <= UNDO.total_seconds()

    (button,) = notice.all("button")
    form = document.by_id(button.get("form"))
    assert form.get("action") == RESTORE
    chosen = [e.get("value") for e in notice.all("input") if e.get("form") == form.get("id")]
    post(alice_client, form.get("action"), *chosen)
    after = shown(alice_client, "/")
    assert listed(alice) == {"gone.txt", "other.txt"}
    assert Usage.objects.get(owner=alice).stored_files == 2
    assert undo_notice(after) is None
    assert notices(after) == []


def test_several_deleted_files_are_counted_and_come_back_together(
    alice: User, alice_client: Client
) -> None:
    sessions = [completed(alice, f"{i}.txt") for i in range(4)]
    post(alice_client, REMOVE_CHOSEN, *(session.pk for session in sessions[:3]))
    assert listed(alice) == {"3.txt"}
    notice = undo_notice(shown(alice_client, "/"))
    assert notice
    assert notice.all("p")[0].text == "3 files were deleted."
    post(alice_client, RESTORE, *(e.get("value") for e in notice.all("input")))
    assert listed(alice) == {"0.txt", "1.txt", "2.txt", "3.txt"}


def test_the_notice_stands_wherever_in_the_list_one_is(alice: User, alice_client: Client) -> None:
    trashed(alice)
    for query in ("", "?q=nowhere", "?show=unfinished"):
        assert undo_notice(shown(alice_client, "/" + query))


def test_what_cannot_be_brought_back_is_not_offered(alice: User, alice_client: Client) -> None:
    session = trashed(alice)
    FileSession.objects.filter(pk=session.pk).update(trashed_at=timezone.now() - UNDO)
    assert undo_notice(shown(alice_client, "/")) is None


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 file could not be brought back: it is deleted for good by now."),
        (2, "2 files could not be brought back: they are deleted for good by now."),
    ],
)
def test_bringing_back_too_late_says_so(
    alice: User, alice_client: Client, count: int, words: str
) -> None:
    late = [trashed(alice) for _ in range(count)]
    kept = trashed(alice, "kept.txt")
    ids = [session.pk for session in late]
    FileSession.objects.filter(pk__in=ids).update(
        trashed_at=timezone.now() - UNDO - timedelta(seconds=1)
    )
    assert purge_trash() == count
    post(alice_client, RESTORE, *ids, kept.pk)
    document = shown(alice_client, "/")
    assert notices(document) == [words]
    assert [e.get("role") for e in document.walk() if e.text == words and e.tag == "p"] == ["alert"]
    assert listed(alice) == {"kept.txt"}


def test_bringing_back_twice_is_no_complaint(alice: User, alice_client: Client) -> None:
    """A double click, or the same notice in another tab: the file is there."""
    session = trashed(alice)
    for _ in range(2):
        post(alice_client, RESTORE, session.pk, session.pk)
    assert notices(shown(alice_client, "/")) == []
    assert listed(alice) == {"tides.csv"}
    assert Usage.objects.get(owner=alice).stored_files == 1


def test_deleting_twice_deletes_once(alice: User, alice_client: Client) -> None:
    session = completed(alice)
    assert remove(alice_client, session).status_code == 303
    assert remove(alice_client, session).status_code == 404
    post(alice_client, REMOVE_CHOSEN, session.pk)
    assert Usage.objects.get(owner=alice).stored_files == 0
    post(alice_client, RESTORE, session.pk)
    assert listed(alice) == {"tides.csv"}


@pytest.mark.parametrize("state", ["under way", "interrupted", "of unknown size", "verifying"])
def test_cancelling_ends_an_upload_and_says_so(
    alice: User, alice_client: Client, state: str
) -> None:
    session = STATES[state](alice)
    remove(alice_client, session)
    document = shown(alice_client, "/")
    assert notices(document) == ["“tides.csv” was removed."]
    assert undo_notice(document) is None
    session.refresh_from_db()
    assert session.status == SessionStatus.CANCELLED
    assert names(rows(alice_client)) == []


@pytest.mark.parametrize("state", ["failed", "expired", "run out of time"])
def test_what_has_ended_without_a_file_is_removed(
    alice: User, alice_client: Client, state: str
) -> None:
    session = STATES[state](alice)
    remove(alice_client, session)
    assert notices(shown(alice_client, "/")) == ["“tides.csv” was removed."]
    assert not FileSession.objects.filter(pk=session.pk).exists()


def test_cancelling_what_is_cancelled_is_no_error(alice: User, alice_client: Client) -> None:
    session = STATES["cancelled"](alice)
    assert remove(alice_client, session).status_code == 303
    assert notices(shown(alice_client, "/")) == []


def test_a_name_in_what_is_said_is_text(alice: User, alice_client: Client) -> None:
    remove(alice_client, make_session(alice, "<script>alert(1)</script>"))
    html = alice_client.get("/").content.decode()
    assert "<script>alert" not in html
    assert notices(parse(html)) == ["“<script>alert(1)</script>” was removed."]


# ------------------------------------------------------------------------------ several at once


GARBAGE = ["", "nonsense", "\0", "é", "1" * 10_000, "{}", "None", "%s", str(UUID(int=1))]


@pytest.mark.parametrize("url", [REMOVE_CHOSEN, RESTORE])
def test_p10_what_is_no_upload_chooses_nothing(alice: User, alice_client: Client, url: str) -> None:
    kept, gone = completed(alice, "kept.txt"), trashed(alice, "gone.txt")
    assert post(alice_client, url, *GARBAGE).status_code == 303
    assert untouched(kept, gone)
    assert post(alice_client, url).status_code == 303
    assert untouched(kept, gone)


def test_garbage_among_the_chosen_does_not_spare_the_others(
    alice: User, alice_client: Client, bob: User
) -> None:
    own, other, theirs = completed(alice, "own.txt"), completed(alice, "other.txt"), completed(bob)
    post(alice_client, REMOVE_CHOSEN, *GARBAGE, own.pk, own.pk, theirs.pk)
    assert listed(alice) == {"other.txt"}
    assert untouched(other, theirs)


@pytest.mark.parametrize("url", [REMOVE_CHOSEN, RESTORE])
def test_p10_more_than_a_form_may_hold_is_refused_whole(
    alice: User, alice_client: Client, url: str
) -> None:
    session, gone = completed(alice), trashed(alice)
    response = post(alice_client, url, session.pk, gone.pk, *(uuid4() for _ in range(1100)))
    assert response.status_code == 400
    assert untouched(session, gone)


def test_a_body_that_is_no_form_changes_nothing(alice: User, alice_client: Client) -> None:
    session = completed(alice)
    for url in all_actions(session):
        for body, kind in (
            (b"\xff\xfe", "application/x-www-form-urlencoded"),
            (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
            (b"broken", "multipart/form-data"),
            (b'{"id": 1}', "application/json"),
        ):
            if url == address(session, "remove"):
                continue  # It needs no fields: the address says it all.
            assert alice_client.post(url, body, content_type=kind).status_code < 500
    assert untouched(session)
