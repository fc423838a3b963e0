"""The pages of accounts: a new password, by the present one or by a link that comes in a mail."""

import logging
import re
import smtplib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import pytest
from config import accounts
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client
from pytest_django import Settings

from .documents import Element, parse

pytestmark = pytest.mark.django_db

CHANGE, CHANGED = "/account/password/", "/account/password/changed/"
FORGOTTEN, SENT = "/sign-in/forgotten/", "/sign-in/forgotten/sent/"
SIGN_IN, SIGN_OUT, SET = "/sign-in/", "/sign-out/", "/sign-in/new-password/"
OLD, NEW = "alice-password", "a long way to the tide pools"
ADDRESS = "alice@example.org"


class Silent(BaseEmailBackend):
    """A mail server that does not let us in."""

    def open(self) -> None:
        raise smtplib.SMTPConnectError(421, "too busy")


class Picky(BaseEmailBackend):
    """A mail server that takes no mail for anybody."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise smtplib.SMTPRecipientsRefused({ADDRESS: (550, b"unknown")})


@pytest.fixture
def by_mail(settings: Settings, alice: User) -> None:
    settings.PASSWORD_RESET_BY_MAIL = True
    User.objects.filter(pk=alice.pk).update(email=ADDRESS)


@pytest.fixture
def link(by_mail: None, mailoutbox: list[EmailMessage]) -> str:
    """The one that alice is sent, its host cut off."""
    Client().post(FORGOTTEN, {"email": ADDRESS})
    return link_in(mailoutbox[0]).removeprefix("http://testserver")


@pytest.fixture
def config_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the site's loggers say, which tell no others."""
    loggers = [logging.getLogger(name) for name in ("config", "django.contrib.auth", "axes")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    yield caplog
    for logger in loggers:
        logger.removeHandler(caplog.handler)


def link_in(mail: EmailMessage) -> str:
    [found] = re.findall(r"https?://\S+", str(mail.body))
    return str(found)


def change(client: Client, old: str = OLD, new: str = NEW, again: str | None = None) -> Any:
    fields = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return client.post(CHANGE, fields)


def sign_in(client: Client, password: str = OLD, **fields: str) -> Any:
    return client.post(SIGN_IN, {"username": "alice", "password": password, **fields})


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == HTTPStatus.OK


def followed(client: Client, link: str) -> tuple[str, Element]:
    """The address that a link of a mail leads to, and its page."""
    response: Any = client.get(link, follow=True)
    [*_, (address, _)] = response.redirect_chain or [(link, 200)]
    return address, parse(response.content.decode())


def without_tokens(html: bytes) -> bytes:
    return re.sub(rb"\w{64}", b"", html)


# --------------------------------------------------------------------------------- changing it


def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(
    alice: User, alice_client: Client
) -> None:
    other = Client()
    other.force_login(alice)
    before = alice_client.cookies["sessionid"].value
    response = change(alice_client)
    assert (response.status_code, response["Location"]) == (302, CHANGED)
    assert "signed out everywhere else" in alice_client.get(CHANGED).content.decode()
    assert is_signed_in(alice_client)
    assert not is_signed_in(other)
    # The key that somebody may have copied is nobody's any more.
    assert alice_client.cookies["sessionid"].value != before
    assert not Session.objects.filter(session_key=before).exists()
    assert sign_in(Client()).status_code == HTTPStatus.OK
    assert sign_in(Client(), NEW).status_code == HTTPStatus.FOUND


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"old": "a guess"}, "id_old_password", "not your present password"),
        ({"new": "12345"}, "id_new_password2", "too short"),
        ({"new": "alice123"}, "id_new_password2", "too similar"),
        ({"again": "another"}, "id_new_password2", "Enter the same one in both fields"),
    ],
)
def test_a_change_refused_says_at_its_field_what_to_do(
    alice: User, alice_client: Client, given: dict[str, str], field: str, words: str
) -> None:
    response = change(alice_client, **given)
    assert response.status_code == 422
    page = parse(response.content.decode())
    assert page.by_id(field).get("aria-invalid") == "true"
    assert f"{field}-error" in page.by_id(field).get("aria-describedby").split()
    assert words in page.by_id(f"{field}-error").text
    assert not any(e.get("value") for e in page.all("input") if e.get("type") == "password")
    alice.refresh_from_db()
    assert alice.check_password(OLD)


def test_strangers_change_nothing_and_the_admin_leads_to_the_form_that_is_throttled(
    alice_client: Client,
) -> None:
    for url in (CHANGE, CHANGED):
        response = Client().get(url)
        assert (response.status_code, response["Location"]) == (302, f"/sign-in/?next={url}")
    assert change(Client()).status_code == HTTPStatus.FOUND
    assert alice_client.get("/admin/password_change/")["Location"] == CHANGE


# --------------------------------------------------------------------------- forgetting it


def test_a_link_by_mail_sets_a_new_password_once(alice_client: Client, link: str) -> None:
    client = Client()
    address, page = followed(client, link)
    # The token is in no address that a page could give away.
    assert link.split("/")[-2] not in address
    assert page.by_id("id_new_password1").get("autocomplete") == "new-password"
    fields = {"new_password1": NEW, "new_password2": NEW}
    assert client.post(address, {**fields, "new_password2": "other"}).status_code == 422
    assert client.post(address, fields)["Location"] == SET
    assert "The new password is set" in client.get(SET).content.decode()
    assert not is_signed_in(client)
    assert not is_signed_in(alice_client)
    assert sign_in(client, NEW).status_code == HTTPStatus.FOUND
    assert "no longer works" in followed(Client(), link)[1].text


def test_a_link_that_is_too_old_or_was_changed_changes_nothing(
    alice: User, link: str, settings: Settings
) -> None:
    for wrong in (link[:-2] + "/", link.replace("/new-password/", "/new-password/x"), SET + "w/1/"):
        assert "no longer works" in followed(Client(), wrong)[1].text
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "no longer works" in followed(Client(), link)[1].text
    alice.refresh_from_db()
    assert alice.check_password(OLD)


def test_the_answer_tells_nobody_whether_there_is_an_account(
    by_mail: None, mailoutbox: list[EmailMessage]
) -> None:
    User.objects.create_user("gone", "gone@example.org", "gone-password", is_active=False)
    answers = [
        Client().post(FORGOTTEN, {"email": address}, follow=True)
        for address in (ADDRESS, "nobody@example.org", "gone@example.org")
    ]
    assert [mail.to for mail in mailoutbox] == [[ADDRESS]]
    assert {answer.status_code for answer in answers} == {200}
    assert len({without_tokens(answer.content) for answer in answers}) == 1
    assert [answer.redirect_chain for answer in answers] == [[(SENT, 302)]] * 3


def test_the_request_itself_looks_for_no_account(
    by_mail: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no clock tells either: what depends on it is left to a task."""
    asked: list[str] = []

    class Task:
        def enqueue(self, email: str, *_: object) -> None:
            asked.append(email)

    monkeypatch.setattr(accounts, "send_links", Task())
    monkeypatch.setattr(PasswordResetForm, "get_users", None)
    for email in (ADDRESS, "nobody@example.org"):
        assert Client().post(FORGOTTEN, {"email": email})["Location"] == SENT
    assert asked == [ADDRESS, "nobody@example.org"]


def test_a_mail_server_that_does_not_answer_is_told_of_whoever_asks(
    by_mail: None, settings: Settings, config_log: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Silent"
    pages = set()
    for email in (ADDRESS, "bob@example.org"):
        response = Client().post(FORGOTTEN, {"email": email})
        assert (response.status_code, response["Retry-After"]) == (503, "300")
        html = response.content.decode()
        assert "No mail can be sent at the moment" in html
        pages.add(without_tokens(html.replace(email, "").encode()))
    assert len(pages) == 1
    assert [record.levelname for record in config_log.records] == ["ERROR", "ERROR"]


def test_a_mail_that_is_not_taken_is_in_the_log_and_not_in_the_answer(
    by_mail: None, settings: Settings, config_log: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Picky"
    assert Client().post(FORGOTTEN, {"email": ADDRESS})["Location"] == SENT
    [record] = config_log.records
    assert (record.name, record.levelname) == ("django.contrib.auth", "ERROR")


@pytest.mark.parametrize("given", ["", "alice", "a@b", "a@example.org\nBcc: b@example.org", "\0"])
def test_what_is_no_address_is_refused_and_mails_nothing(
    by_mail: None, mailoutbox: list[EmailMessage], given: str
) -> None:
    response = Client().post(FORGOTTEN, {"email": given})
    assert response.status_code == 422
    assert "name@example.org" in parse(response.content.decode()).by_id("email-error").text
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("hosts", "status"), [(["testserver"], 400), (["testserver", "evil.example.org"], 302)]
)
def test_a_link_leads_to_no_host_but_those_of_the_site(
    by_mail: None,
    settings: Settings,
    mailoutbox: list[EmailMessage],
    hosts: list[str],
    status: int,
) -> None:
    """A forged Host header would have its sender read the token of whoever follows the link."""
    settings.ALLOWED_HOSTS = hosts
    forged = {"Host": "evil.example.org"}
    assert Client().post(FORGOTTEN, {"email": ADDRESS}, headers=forged).status_code == status
    assert len(mailoutbox) == (status == 302)
    mailoutbox.clear()
    forged = {"X-Forwarded-Host": "evil.example.org"}
    Client().post(FORGOTTEN, {"email": ADDRESS}, headers=forged)
    assert link_in(mailoutbox[0]).startswith("http://testserver/")


def test_behind_a_proxy_that_ends_tls_the_link_is_not_in_clear(
    by_mail: None, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    Client().post(FORGOTTEN, {"email": ADDRESS})
    assert link_in(mailoutbox[0]).startswith("https://testserver/")


def test_the_mail_is_in_the_language_of_whoever_asked_and_shows_names_as_they_are(
    by_mail: None, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    User.objects.filter(pk=alice.pk).update(username="<alice> & co")
    for language in ("en", "de"):
        Client().post(FORGOTTEN, {"email": ADDRESS}, headers={"Accept-Language": language})
    english, german = mailoutbox
    assert "<alice> & co at testserver" in english.body
    assert english.subject == "A new password for testserver"
    assert "<alice> & co" in german.body
    assert german.subject != english.subject


def test_without_a_mail_server_nothing_is_promised(
    alice: User, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    assert not settings.PASSWORD_RESET_BY_MAIL
    sign_in_page = Client().get(SIGN_IN).content.decode()
    assert "Whoever runs this site can set a new one" in sign_in_page
    assert FORGOTTEN not in sign_in_page
    for response in (Client().get(FORGOTTEN), Client().post(FORGOTTEN, {"email": ADDRESS})):
        assert "This site sends no mails" in response.content.decode()
    assert mailoutbox == []


def test_with_a_mail_server_the_sign_in_offers_the_link(by_mail: None) -> None:
    page = parse(Client().get(SIGN_IN).content.decode())
    assert FORGOTTEN in [a.get("href") for a in page.all("a")]


# -------------------------------------------------------------------------- all of the pages


def test_a_session_prepared_by_somebody_else_is_not_the_one_that_is_signed_in(alice: User) -> None:
    client = Client()
    client.force_login(User.objects.create_user("mallory"))
    planted = client.cookies["sessionid"].value
    client.post(SIGN_OUT)
    client.cookies["sessionid"] = planted
    assert sign_in(client).status_code == HTTPStatus.FOUND
    assert client.cookies["sessionid"].value != planted
    stranger = Client()
    stranger.cookies["sessionid"] = planted
    assert not is_signed_in(stranger)


ELSEWHERE = [
    "https://evil.example.org/",
    "//evil.example.org/",
    "/\\evil.example.org/",
    "https:evil.example.org",
    "javascript:alert(1)",
    "http://testserver@evil.example.org/",
    "http://testserver:81/",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_page_of_accounts_leads_to_another_site(
    alice_client: Client, by_mail: None, target: str
) -> None:
    own = {"/", SIGN_IN, CHANGED, SENT}
    fields = {"next": target}
    passwords = {"new_password1": NEW, "new_password2": NEW}
    answers = [
        Client().post(f"{SIGN_IN}?next={target}", {"username": "alice", "password": OLD}),
        sign_in(Client(), next=target),
        alice_client.get(SIGN_IN, fields),
        Client().post(FORGOTTEN, {"email": ADDRESS, **fields}),
        alice_client.post(CHANGE, {"old_password": OLD, **passwords, **fields}),
        alice_client.post(SIGN_OUT, fields),
    ]
    assert {answer.status_code for answer in answers} == {HTTPStatus.FOUND}
    assert {answer["Location"] for answer in answers} <= own


@pytest.mark.parametrize("target", ELSEWHERE[:2])
def test_a_link_of_a_mail_leads_to_no_other_site_either(link: str, target: str) -> None:
    client = Client()
    address, _ = followed(client, f"{link}?next={target}")
    fields = {"new_password1": NEW, "new_password2": NEW, "next": target}
    assert client.post(address, fields)["Location"] == SET


@pytest.mark.parametrize("url", [SIGN_IN, FORGOTTEN, SENT, SET, CHANGE, CHANGED, SET + "Mg/x-y/"])
def test_no_page_of_accounts_is_stored_anywhere(
    alice: User, alice_client: Client, by_mail: None, url: str
) -> None:
    client = Client() if url.startswith(SIGN_IN) else alice_client
    for response in (client.get(url), client.post(url), alice_client.post(SIGN_OUT)):
        assert "no-store" in response["Cache-Control"]
