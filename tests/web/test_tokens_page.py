"""The page of access tokens: a token is shown once, works, ends, and is nobody else's business."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tests.support.tokens import find_owner
from uploads.engine.tokens import MAX_USABLE, issue_own_token, issue_token
from uploads.models import AccessToken, TokenScope
from uploads.web.tokens import MAX_ENDED_SHOWN

URL = "/tokens/"
FIELDS: dict[str, Any] = {
    "name": "backup at night",
    "lifetime": "90",
    "scopes": ["read", "upload", "delete"],
}

pytestmark = pytest.mark.django_db


def shown_token(html: str) -> str:
    found = re.search(r'<code id="token-value">(hft_[\w-]+)</code>', html)
    assert found
    return found[1]


def names(html: str) -> list[str]:
    """The names of the list, in its order."""
    return [unescape(name) for name in re.findall(r'<th scope="row">(.*?)</th>', html)]


def end(name: str, **fields: Any) -> None:
    past = timezone.now() - timedelta(days=1)
    ended = {"created_at": past - timedelta(days=1), **fields}
    assert AccessToken.objects.filter(name=name).update(**ended)


def test_a_token_made_here_works_at_once(alice_client: Client, alice: User) -> None:
    response = alice_client.post(URL, FIELDS)
    assert response.status_code == 200
    token = shown_token(response.content.decode())
    assert find_owner(token) == alice
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().get("/api/v1/uploads", headers=headers).status_code == 200


def test_a_token_is_shown_once_and_never_stored(alice_client: Client) -> None:
    made = alice_client.post(URL, FIELDS)
    assert "no-store" in made["Cache-Control"]
    token = shown_token(made.content.decode())
    later = alice_client.get(URL)
    assert "no-store" in later["Cache-Control"]
    assert token not in later.content.decode()
    assert names(later.content.decode()) == [FIELDS["name"]]
    assert token not in map(str, vars(AccessToken.objects.get()).values())


def test_the_line_for_curl_names_the_token_and_this_site(alice_client: Client) -> None:
    html = alice_client.post(URL, FIELDS, secure=True).content.decode()
    found = re.search(r'<code id="token-curl">(.*?)</code>', html)
    assert found
    assert unescape(found[1]) == (
        f'curl --fail-with-body -H "Authorization: Bearer {shown_token(html)}" -F "file=@FILE" '
        "https://testserver/uploads/send"
    )


def test_what_the_page_s_script_copies_is_there(alice_client: Client) -> None:
    html = alice_client.post(URL, FIELDS).content.decode()
    targets = re.findall(r'data-copy="#([\w-]+)"', html)
    assert targets == ["token-value", "token-curl"]
    assert all(html.count(f'id="{target}"') == 1 for target in targets)


@pytest.mark.parametrize(
    ("lifetime", "days"), [("30", 30), ("90", 90), ("365", 365), ("none", None)]
)
def test_a_token_ends_when_it_was_told_to(
    alice_client: Client, lifetime: str, days: int | None
) -> None:
    alice_client.post(URL, {**FIELDS, "lifetime": lifetime})
    token = AccessToken.objects.get()
    expected = None if days is None else token.created_at + timedelta(days=days)
    assert token.expires_at == expected


def test_the_form_offers_ninety_days_first(alice_client: Client) -> None:
    html = alice_client.get(URL).content.decode()
    assert re.findall(r'<option value="(\w+)" selected>', html) == ["90"]


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"name": ""}, "token-name", "Give the token a name"),
        ({"name": "   "}, "token-name", "Give the token a name"),
        ({"name": "x" * 101}, "token-name", "at most 100 characters, this one 101"),
        ({"name": "a\x00b"}, "token-name", "cannot be shown"),
        ({"name": "a\u202eb"}, "token-name", "cannot be shown"),
        ({"lifetime": "7"}, "token-lifetime", "one of the lifetimes"),
        ({"lifetime": ""}, "token-lifetime", "how long"),
    ],
)
def test_bad_input_is_refused_at_its_field_and_kept(
    alice_client: Client, given: dict[str, Any], field: str, words: str
) -> None:
    typed = {"name": "what I typed", "lifetime": "365", "scopes": ["read", "delete"], **given}
    response = alice_client.post(URL, typed)
    assert response.status_code == 422
    html = response.content.decode()
    assert f'id="{field}" ' in html.replace(">", " ")
    assert re.search(
        rf'id="{field}"[^>]* aria-invalid="true" aria-describedby="{field}-error"', html
    )
    [error] = re.findall(rf'id="{field}-error">(.*?)</p>', html)
    assert words in error
    assert html.count('aria-invalid="true"') == 1
    if field != "token-name":
        assert 'value="what I typed"' in html
    assert re.findall(r'value="(\w+)" id="token-scope-\w+" checked', html) == ["read", "delete"]
    if field != "token-lifetime":
        assert '<option value="365" selected>' in html
    assert not AccessToken.objects.exists()


def test_a_token_may_what_was_chosen_and_no_more(alice_client: Client) -> None:
    html = alice_client.post(URL, {**FIELDS, "scopes": ["upload", "delete"]}).content.decode()
    assert AccessToken.objects.get().scopes == {TokenScope.UPLOAD, TokenScope.DELETE}
    assert '<td data-label="Allowed">upload, delete</td>' in html
    token = shown_token(html)
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().get("/api/v1/uploads", headers=headers).status_code == 403


def test_the_form_offers_all_scopes_chosen(alice_client: Client) -> None:
    html = alice_client.get(URL).content.decode()
    assert len(re.findall(r'name="scopes" value="\w+" id="token-scope-\w+" checked', html)) == 3


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "write"]])
def test_a_token_that_may_nothing_is_not_made_nor_one_that_may_what_there_is_not(
    alice_client: Client, scopes: list[str]
) -> None:
    response = alice_client.post(URL, {**FIELDS, "scopes": scopes})
    assert response.status_code == 422
    html = response.content.decode()
    assert re.search(r'<fieldset[^>]* aria-describedby="token-scopes-error"', html)
    [error] = re.findall(r'id="token-scopes-error">(.*?)</p>', html)
    assert error.startswith("Choose ")
    main = html[html.index("<main") : html.index("</main>")]
    assert main.count(" autofocus") == 1
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("scopes", "says", "line"),
    [
        (["read", "upload"], "sends a file", '-F "file=@FILE" http://testserver/uploads/send'),
        (["read", "delete"], "fetches a file", "http://testserver/api/v1/uploads/ID/content"),
        (["delete"], "deletes a file", "http://testserver/api/v1/uploads/ID"),
    ],
)
def test_the_line_for_curl_is_of_what_the_token_may_do(
    alice_client: Client, scopes: list[str], says: str, line: str
) -> None:
    html = alice_client.post(URL, {**FIELDS, "scopes": scopes}).content.decode()
    assert f"<p>This line {says} with it" in html
    [command] = re.findall(r'<code id="token-curl">(.*?)</code>', html)
    assert unescape(command).endswith(line)
    assert ("-X DELETE" in command) == (scopes == ["delete"])


def test_the_list_says_when_a_token_was_last_used(alice_client: Client, alice: User) -> None:
    issue_token(alice, "laptop")
    cell = '<td data-label="Last used">'
    assert f"{cell}Never</td>" in alice_client.get(URL).content.decode()
    AccessToken.objects.update(last_used_at=datetime(2026, 5, 4, 9, 30, tzinfo=UTC))
    html = alice_client.get(URL).content.decode()
    assert f'{cell}<time datetime="2026-05-04T09:30:00+00:00">4 May 2026, 09:30</time>' in html


def test_a_token_without_a_lifetime_is_not_one_without_end(alice_client: Client) -> None:
    assert alice_client.post(URL, {"name": "x", "scopes": ["read"]}).status_code == 422
    assert not AccessToken.objects.exists()


def test_names_are_shown_as_text(alice_client: Client) -> None:
    name = "<script>alert('1')</script> & co"
    made = alice_client.post(URL, {**FIELDS, "name": name}).content.decode()
    assert "<script>alert" not in made
    assert names(made) == [name]


def test_usable_tokens_come_first_and_each_says_its_state(
    alice_client: Client, alice: User
) -> None:
    for name in ("old", "revoked", "expired", "new"):
        issue_token(alice, name, timedelta(days=30))
    end("old")
    end("revoked", revoked_at=timezone.now())
    end("expired", expires_at=timezone.now() - timedelta(hours=1))
    html = alice_client.get(URL).content.decode()
    assert names(html)[:2] == ["new", "old"]
    assert set(names(html)[2:]) == {"revoked", "expired"}
    text = re.sub(r"<[^>]+>", " ", html)
    states = re.findall(r"Usable|Revoked|Expired", text)
    assert sorted(states[:2]) == ["Usable", "Usable"]
    assert sorted(states[2:]) == ["Expired", "Revoked"]
    assert html.count('class="revoke"') == 2


def test_tokens_that_ended_do_not_pile_up_on_the_page(alice_client: Client, alice: User) -> None:
    for number in range(MAX_ENDED_SHOWN):
        issue_token(alice, f"old {number}")
    AccessToken.objects.update(revoked_at=timezone.now())
    assert "are not listed" not in alice_client.get(URL).content.decode()
    issue_token(alice, "one more")
    AccessToken.objects.update(revoked_at=timezone.now())
    html = alice_client.get(URL).content.decode()
    assert len(names(html)) == MAX_ENDED_SHOWN
    assert "are not listed" in html


def test_a_revoked_token_is_refused_from_then_on(alice_client: Client, alice: User) -> None:
    token = issue_token(alice, "laptop")
    response = alice_client.post(f"{URL}{AccessToken.objects.get().pk}/revoke")
    assert (response.status_code, response["Location"]) == (303, URL)
    assert find_owner(token) is None
    html = alice_client.get(URL).content.decode()
    assert "“laptop” is revoked" in html
    assert 'class="revoke"' not in html


def test_revoking_twice_keeps_the_moment_of_the_first(alice_client: Client, alice: User) -> None:
    issue_token(alice, "laptop")
    address = f"{URL}{AccessToken.objects.get().pk}/revoke"
    alice_client.post(address)
    first = AccessToken.objects.get().revoked_at
    assert alice_client.post(address).status_code == 303
    assert AccessToken.objects.get().revoked_at == first


def test_p9_another_s_token_does_not_exist(
    alice: User, alice_client: Client, bob_client: Client
) -> None:
    token = issue_token(alice, "laptop")
    pk = AccessToken.objects.get().pk
    theirs, unknown = (bob_client.post(f"{URL}{n}/revoke") for n in (pk, pk + 1))
    assert theirs.status_code == unknown.status_code == 404
    # All but the CSRF tokens, which differ from answer to answer.
    assert re.sub(rb"\w{64}", b"", theirs.content) == re.sub(rb"\w{64}", b"", unknown.content)
    assert find_owner(token) == alice
    assert names(bob_client.get(URL).content.decode()) == []


def test_strangers_are_asked_to_sign_in(alice: User) -> None:
    issue_token(alice, "laptop")
    pk = AccessToken.objects.get().pk
    for response in (Client().get(URL), Client().post(URL, FIELDS)):
        assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/tokens/")
    assert Client().post(f"{URL}{pk}/revoke").status_code == 302
    assert AccessToken.objects.get().revoked_at is None


def test_forms_without_their_csrf_token_change_nothing(alice: User) -> None:
    issue_token(alice, "laptop")
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(URL, FIELDS).status_code == 403
    assert client.post(f"{URL}{AccessToken.objects.get().pk}/revoke").status_code == 403
    assert AccessToken.objects.get().revoked_at is None


def test_a_link_revokes_nothing(alice: User, alice_client: Client) -> None:
    issue_token(alice, "laptop")
    assert alice_client.get(f"{URL}{AccessToken.objects.get().pk}/revoke").status_code == 303
    assert AccessToken.objects.get().revoked_at is None


def test_more_usable_tokens_than_the_most_are_refused_until_one_ends(
    alice_client: Client, alice: User, bob: User
) -> None:
    for number in range(MAX_USABLE):
        issue_token(alice, str(number))
    response = alice_client.post(URL, FIELDS)
    assert response.status_code == 422
    html = response.content.decode()
    assert f"You have {MAX_USABLE} usable tokens" in html
    assert f'value="{FIELDS["name"]}"' in html
    assert issue_own_token(bob, "another's") is not None
    AccessToken.objects.filter(name="7").update(revoked_at=timezone.now())
    assert alice_client.post(URL, FIELDS).status_code == 200
    assert AccessToken.objects.usable().filter(owner=alice).count() == MAX_USABLE


def test_the_page_has_one_heading_and_a_label_for_each_field(alice_client: Client) -> None:
    html = alice_client.get(URL).content.decode()
    assert html.count("<h1") == 1
    main = html[html.index("<main") : html.index("</main>")]
    fields = re.findall(r'<(?:input|select) (?![^>]*type="hidden")[^>]*id="([\w-]+)"', main)
    named, chosen = fields[:2], fields[2:]
    assert named == ["token-name", "token-lifetime"]
    assert all(f'<label for="{field}">' in main for field in named)
    # Check boxes stand inside their labels, and those within a group that has a name.
    [group] = re.findall(r"<fieldset(.*?)</fieldset>", main, re.DOTALL)
    assert "<legend>What it may do</legend>" in group
    assert re.findall(r'<label><input type="checkbox"[^>]* id="([\w-]+)"', group) == chosen
    assert chosen == ["token-scope-read", "token-scope-upload", "token-scope-delete"]


def test_the_page_of_a_new_token_has_no_form_to_send_twice(alice_client: Client) -> None:
    """Nor would a refresh that keeps what was typed leave the last name in it."""
    html = alice_client.post(URL, FIELDS).content.decode()
    assert 'name="lifetime"' not in html
    assert f'href="{URL}">I have copied it' in html


def test_a_new_token_takes_the_focus(alice_client: Client) -> None:
    html = alice_client.post(URL, FIELDS).content.decode()
    assert html.count("<h1") == 1
    assert re.findall(r'<(\w+) id="([\w-]+)" tabindex="-1" autofocus', html) == [
        ("h2", "made-title")
    ]


@pytest.mark.parametrize(("secure_site", "scheme"), [(True, "https"), (False, "http")])
def test_behind_a_proxy_that_ends_tls_the_line_for_curl_never_sends_the_token_in_clear(
    alice_client: Client, settings: Settings, secure_site: bool, scheme: str
) -> None:
    settings.SESSION_COOKIE_SECURE = secure_site
    html = alice_client.post(URL, FIELDS).content.decode()
    assert f"-F &quot;file=@FILE&quot; {scheme}://testserver/uploads/send</code>" in html
