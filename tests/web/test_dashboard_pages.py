"""The dashboard's pages and partials: what they show, to whom, and under which policy."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from uploads.core.bitmap import Bitmap
from uploads.core.plan import MIB
from uploads.models import FileSession, SessionStatus, StoredFile
from uploads.web.headers import HEADER, POLICY, ContentSecurityPolicyMiddleware

LIST = "/api/v1/uploads/handshake"
HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db


def make_session(
    owner: User, filename: str = "tides.csv", *, received: int = 1, ago: float = 3600, **fields: Any
) -> FileSession:
    """A session of three chunks, touched `ago` seconds ago. Its bytes are nowhere."""
    then = timezone.now() - timedelta(seconds=ago)
    bitmap = Bitmap(b"", 3)
    for index in range(received):
        bitmap.add(index)
    sha256 = uuid4().hex * 2
    if fields.get("status") == SessionStatus.COMPLETED:
        live = StoredFile.State.LIVE
        fields["stored_file"] = StoredFile.objects.create(sha256=sha256, size=15 * MIB, state=live)
    values = {
        "size": 15 * MIB,
        "chunk_size": 5 * MIB,
        "sha256": sha256,
        "received": bitmap.to_bytes(),
        "received_count": received,
        "created_at": then,
        "updated_at": then,
        "expires_at": then + timedelta(hours=48),
    }
    return FileSession.objects.create(owner=owner, filename=filename, **{**values, **fields})


def rows(client: Client, query: str = "") -> str:
    response = client.get(LIST + query, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def row(client: Client, session: FileSession) -> str:
    response = client.get(f"/api/v1/uploads/{session.pk}/handshake", headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def actions(html: str) -> set[str]:
    return set(re.findall(r'data-action="(\w+)"', html))


def names(html: str) -> list[str]:
    return re.findall(r'<h3 class="upload-name"[^>]*>([^<]+)</h3>', html)


# ------------------------------------------------------------------------ who sees what


def test_signed_out_the_dashboard_asks_to_sign_in_and_comes_back(client: Client) -> None:
    response = client.get("/?before=x")
    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/%3Fbefore%3Dx")


def test_a_signed_out_poll_never_swaps_the_sign_in_page_into_the_list(client: Client) -> None:
    for url in (LIST, f"/api/v1/uploads/{uuid4()}/handshake"):
        response = client.get(url, headers=HTMX)
        assert response.status_code == 401
        assert response.content == b""
        assert response["HX-Redirect"] == "/sign-in/?next=/"


def test_nobody_sees_the_sessions_of_another(alice: User, bob_client: Client) -> None:
    session = make_session(alice, "secret-plans.txt")
    assert "secret-plans.txt" not in bob_client.get("/").content.decode()
    assert "secret-plans.txt" not in rows(bob_client)
    url = f"/api/v1/uploads/{session.pk}/handshake"
    assert bob_client.get(url, headers=HTMX).status_code == 404
    # Nor do pages begin at it.
    make_session(User.objects.get(username="bob"), "own.txt")
    assert names(rows(bob_client, f"?before={session.pk}")) == ["own.txt"]


def test_an_unknown_row_is_not_found(alice_client: Client) -> None:
    response = alice_client.get(f"/api/v1/uploads/{uuid4()}/handshake", headers=HTMX)
    assert response.status_code == 404


def test_partials_are_never_stored_and_vary_on_who_asks_how(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    session = make_session(alice)
    for url in (LIST, f"/api/v1/uploads/{session.pk}/handshake"):
        response = client.get(url, headers=HTMX)
        assert response["Cache-Control"] == "no-store"
        assert "HX-Request" in response["Vary"]


# ---------------------------------------------------------------------------- the list


def test_page_and_partial_show_the_same_list(alice: User, alice_client: Client) -> None:
    make_session(alice)
    make_session(alice, "done.bin", status=SessionStatus.COMPLETED, received=3)
    assert rows(alice_client) in alice_client.get("/").content.decode()


def test_a_fragment_has_no_blank_text_around_it_that_morphs_would_leave_behind(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    for html in (rows(alice_client), row(alice_client, session)):
        assert html.startswith("<")
        assert html.endswith(">")


def test_the_newest_comes_first_and_the_cancelled_not_at_all(
    alice: User, alice_client: Client
) -> None:
    make_session(alice, "old.txt", ago=500)
    make_session(alice, "new.txt", ago=100)
    make_session(alice, "gone.txt", ago=300, status=SessionStatus.CANCELLED)
    assert names(rows(alice_client)) == ["new.txt", "old.txt"]


def test_the_empty_list_invites(alice_client: Client) -> None:
    assert 'id="empty"' in alice_client.get("/").content.decode()


def test_pages_lead_through_all_sessions_and_back(
    alice: User, alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 2}
    for i in range(5):
        make_session(alice, f"{i}.txt", ago=10 * i)
    visited = []
    query: str | None = ""
    while query is not None:
        html = alice_client.get("/" + query).content.decode()
        visited.append(names(html))
        query = link(html, "next")
    assert visited == [["0.txt", "1.txt"], ["2.txt", "3.txt"], ["4.txt"]]
    newer = rows(alice_client, link(html, "prev") or "")
    assert names(newer) == ["2.txt", "3.txt"]
    first = rows(alice_client, link(newer, "prev") or "")
    assert names(first) == ["0.txt", "1.txt"]
    assert link(first, "prev") is None


def link(html: str, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="/([^"]+)"', html)
    return found and found[1]


def test_a_page_refreshes_itself_and_not_the_first_one(
    alice: User, alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 1}
    newer, older = make_session(alice, ago=1), make_session(alice, ago=2)
    html = alice_client.get(f"/?before={newer.pk}").content.decode()
    assert f'id="upload-{older.pk}"' in html
    assert f'hx-get="{LIST}?before={newer.pk}"' in html


@pytest.mark.parametrize("query", ["?before=nonsense", "?after=%00", f"?before={uuid4()}"])
def test_a_cursor_that_leads_nowhere_gives_the_first_page(
    alice: User, alice_client: Client, query: str
) -> None:
    make_session(alice)
    assert names(rows(alice_client, query)) == ["tides.csv"]
    assert alice_client.get("/" + query).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_list(
    alice: User, alice_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for status in (SessionStatus.ACTIVE, SessionStatus.COMPLETED, SessionStatus.FAILED) * 5:
        make_session(alice, status=status)
    make_session(alice, expires_at=timezone.now() - timedelta(hours=1))
    # The login session, its user, the list.
    with django_assert_num_queries(3):
        rows(alice_client)


# ----------------------------------------------------------------------------- polling


@pytest.mark.parametrize(
    ("fields", "polls"),
    [
        ({"ago": 5}, True),
        ({"ago": 31}, False),
        ({"ago": 5000, "status": SessionStatus.ASSEMBLING}, True),
        ({"ago": 5, "status": SessionStatus.COMPLETED}, False),
        ({"ago": 5, "status": SessionStatus.FAILED}, False),
    ],
)
def test_the_list_polls_only_while_something_is_under_way(
    alice: User, alice_client: Client, fields: dict[str, Any], polls: bool
) -> None:
    make_session(alice, **fields)
    html = rows(alice_client)
    assert "uploads:changed from:body" in html
    assert ("every 2s" in html) is polls


# ------------------------------------------------------------------------------- a row


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (SessionStatus.ACTIVE, {"pause", "resume", "cancel"}),
        (SessionStatus.ASSEMBLING, {"cancel"}),
        (SessionStatus.COMPLETED, {"download", "delete"}),
        (SessionStatus.FAILED, {"remove"}),
        (SessionStatus.EXPIRED, {"remove"}),
        (SessionStatus.CANCELLED, set()),
    ],
)
def test_a_row_offers_what_its_state_allows(
    alice: User, alice_client: Client, status: SessionStatus, expected: set[str]
) -> None:
    html = row(alice_client, make_session(alice, status=status))
    assert f'data-state="{status}"' in html
    assert actions(html) == expected


def test_an_active_session_past_its_time_shows_as_expired_before_anyone_noticed(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice, expires_at=timezone.now() - timedelta(seconds=1), ago=5)
    html = rows(alice_client)
    assert 'data-state="expired"' in html
    assert "every 2s" not in html
    assert actions(html) == {"remove"}
    session.refresh_from_db()
    assert session.status == SessionStatus.ACTIVE


def test_a_row_says_how_far_it_is_in_bytes_percent_and_chunks(
    alice: User, alice_client: Client
) -> None:
    html = row(alice_client, make_session(alice))
    assert "5.0\xa0MB of 15.0\xa0MB" in html
    assert "33.3 %" in html
    assert 'data-chunks="1/3"' in html
    assert 'aria-label="1 of 3 chunks received"' in html
    assert 'value="33.3"' in html


def test_a_failed_row_says_why(alice: User, alice_client: Client) -> None:
    session = make_session(alice, status=SessionStatus.FAILED, error="The disk was on fire.")
    assert "The disk was on fire." in row(alice_client, session)


def test_a_session_of_unknown_size_is_listed_without_a_map(
    alice: User, alice_client: Client
) -> None:
    make_session(alice, size=None, received=0)
    html = rows(alice_client)
    assert "size not known yet" in html
    assert "<svg" not in html


def test_a_file_name_is_text_and_never_markup(alice: User, alice_client: Client) -> None:
    make_session(alice, "\"'><script>alert(1)</script>.txt")
    html = alice_client.get("/").content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_row_carries_what_the_module_needs_to_resume(alice: User, alice_client: Client) -> None:
    session = make_session(alice, "a & b.txt")
    html = row(alice_client, session)
    found = re.search(r'data-session="([^"]+)"', html)
    assert found
    assert f"&quot;self&quot;: &quot;/api/v1/uploads/{session.pk}&quot;" in found[1]
    assert f"&quot;sha256&quot;: &quot;{session.sha256}&quot;" in found[1]


@pytest.mark.parametrize("status", SessionStatus.values)
def test_what_the_page_writes_into_a_row_has_its_place_in_every_state(
    alice: User, alice_client: Client, status: str
) -> None:
    html = row(alice_client, make_session(alice, status=status))
    for slot in ("label", "line"):
        assert re.search(rf'<\w+[^>]*data-slot="{slot}"[^>]*hx-morph-skip', html)


# --------------------------------------------------------------------------- the policy


def pages(alice: User) -> Iterator[HttpResponseBase]:
    client = Client()
    yield client.get("/sign-in/")
    client.force_login(alice)
    make_session(alice)
    make_session(alice, status=SessionStatus.COMPLETED)
    yield client.get("/")
    yield client.get(LIST, headers=HTMX)
    yield client.get("/no-such-page")


def test_every_page_has_the_policy_and_nothing_inline(alice: User) -> None:
    for response in pages(alice):
        assert response[HEADER] == POLICY
        assert isinstance(response, HttpResponse)
        html = response.content.decode()
        assert not re.search(r"\sstyle\s*=|<style|\son\w+\s*=|javascript:|hx-on", html)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


def test_a_stricter_policy_of_a_response_stays(rf: RequestFactory) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse("<p>", headers={HEADER: "sandbox"})

    assert ContentSecurityPolicyMiddleware(answer)(rf.get("/"))[HEADER] == "sandbox"


def test_json_carries_no_policy_for_pages(alice_client: Client) -> None:
    assert HEADER not in alice_client.get("/api/v1/uploads")


def test_the_policy_allows_no_inline_code_and_no_other_origin() -> None:
    assert "unsafe-inline" not in POLICY
    assert "'unsafe-eval'" not in POLICY
    assert "http" not in POLICY


def test_the_admin_looks_and_does_not_touch(alice: User, client: Client) -> None:
    session = make_session(alice)
    client.force_login(User.objects.create_superuser("root", password="root-password"))
    for path in ("filesession", "storedfile", "accesstoken"):
        response = client.get(f"/admin/uploads/{path}/")
        assert (response.status_code, response[HEADER]) == (200, POLICY)
        assert client.get(f"/admin/uploads/{path}/add/").status_code == 403
    own = f"/admin/uploads/filesession/{session.pk}/"
    assert client.get(own + "change/").status_code == 200
    assert client.post(own + "change/", {"status": "completed"}).status_code == 403
    assert client.post(own + "delete/", {"post": "yes"}).status_code == 403


# -------------------------------------------------------------------- around the dashboard


def test_signing_in_leads_to_the_dashboard_and_a_wrong_password_says_so(
    alice: User, client: Client
) -> None:
    wrong = client.post("/sign-in/", {"username": "alice", "password": "guess"})
    assert 'role="alert"' in wrong.content.decode()
    right = client.post("/sign-in/", {"username": "alice", "password": "alice-password"})
    assert (right.status_code, right["Location"]) == (302, "/")


def test_signing_in_keeps_where_one_was_going(alice: User, client: Client) -> None:
    html = client.get("/sign-in/?next=/%3Fbefore%3Dx").content.decode()
    assert '<input type="hidden" name="next" value="/?before=x">' in html


def test_signing_out_needs_a_form_and_not_a_link(alice_client: Client) -> None:
    assert alice_client.get("/sign-out/").status_code == 405
    assert alice_client.post("/sign-out/")["Location"] == "/sign-in/"
    assert alice_client.get("/").status_code == 302


def test_the_page_gives_the_module_everything_it_needs(alice_client: Client) -> None:
    html = alice_client.get("/").content.decode()
    assert f'data-handshake-url="{LIST}"' in html
    assert 'data-worker-url="/static/js/uploads/hash-worker.js"' in html
    assert f'data-csrf-cookie="{django_settings.CSRF_COOKIE_NAME}"' in html
    assert re.search(r'data-csrf-token="\w{64}"', html)


@pytest.mark.parametrize("template", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_render_without_any_context(template: str) -> None:
    assert "To your uploads" in render_to_string(f"{template}.html")
