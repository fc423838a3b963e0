"""Guessing passwords ends after a few: for who guesses, and for nobody else."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from config.addresses import client_address, networks
from django.contrib.auth.models import User
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from .documents import parse

pytestmark = pytest.mark.django_db

LIMIT = 3
SIGN_IN, ADMIN = "/sign-in/", "/admin/login/"
HERE, THERE = "192.0.2.1", "192.0.2.2"
SECRET = "what she thought it was"


@pytest.fixture(autouse=True)
def few(settings: Settings) -> None:
    settings.AXES_FAILURE_LIMIT = LIMIT


def attempt(
    password: str = SECRET,
    name: str = "alice",
    address: str = HERE,
    url: str = SIGN_IN,
    **more: Any,
) -> Any:
    fields = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post(url, fields, **more)


def lock(**whose: Any) -> Any:
    for _ in range(LIMIT - 1):
        assert attempt(**whose).status_code == 200
    return attempt(**whose)


def expect_refused(response: Any) -> str:
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 15 * 60
    assert "no-store" in response["Cache-Control"]
    assert "default-src 'self'" in response["Content-Security-Policy"]
    text = parse(response.content.decode()).by_id("main").text
    assert "Try again in 15 minutes" in text
    assert "Nothing is lost" in text
    return text


def age(by: timedelta) -> None:
    AccessAttempt.objects.update(attempt_time=timezone.now() - by)


@pytest.mark.parametrize("url", [SIGN_IN, ADMIN])
def test_after_too_many_guesses_the_right_password_is_refused_too(alice: User, url: str) -> None:
    expect_refused(lock(url=url))
    expect_refused(attempt("alice-password", url=url))
    expect_refused(attempt("alice-password", url={SIGN_IN: ADMIN, ADMIN: SIGN_IN}[url]))


def test_the_page_leads_back_to_where_one_was_going(alice: User) -> None:
    response = lock(url="/sign-in/?next=/tokens/")
    links = [a.get("href") for a in parse(response.content.decode()).all("a")]
    assert "/sign-in/?next=/tokens/" in links


def test_whoever_guesses_locks_nobody_else_out(alice: User, bob: User) -> None:
    lock()
    assert attempt("alice-password", address=THERE).status_code == 302
    assert attempt("bob-password", name="bob").status_code == 302
    expect_refused(attempt("alice-password"))


def test_a_right_guess_among_many_sent_at_once_comes_too_late(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are let in before the first has failed, for comparing takes long."""
    compare = User.check_password

    def compared_meanwhile(user: User, password: str) -> bool:
        if password == "alice-password":
            lock()
        return compare(user, password)

    monkeypatch.setattr(User, "check_password", compared_meanwhile)
    expect_refused(attempt("alice-password"))


def test_an_account_that_does_not_exist_is_refused_alike(alice: User) -> None:
    assert expect_refused(lock(name="nobody")) == expect_refused(lock())


def test_another_browser_for_each_guess_is_no_way_around(alice: User) -> None:
    for number in range(LIMIT):
        response = attempt(headers={"User-Agent": f"browser {number}"})
    expect_refused(response)


def test_it_ends_by_itself_and_knocking_meanwhile_makes_it_no_longer(alice: User) -> None:
    lock()
    age(timedelta(minutes=14))
    response = attempt()
    assert response.status_code == 429
    assert int(response["Retry-After"]) <= 60
    assert "in 1 minute:" in response.content.decode()
    age(timedelta(minutes=15))
    assert attempt("alice-password").status_code == 302


def test_a_right_password_makes_the_wrong_ones_before_it_good(alice: User) -> None:
    for _ in range(2):
        for _ in range(LIMIT - 1):
            attempt()
        assert attempt("alice-password").status_code == 302


def test_attempts_are_forgotten_with_the_next_one_that_anybody_makes(alice: User) -> None:
    for number in range(5):
        attempt(name=f"guess {number}")
    age(timedelta(minutes=15))
    attempt(name="bob")
    assert [found.username for found in AccessAttempt.objects.all()] == ["bob"]


def test_passwords_are_neither_stored_nor_logged(
    alice: User, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    lock()
    attempt("alice-password", url=f"{SIGN_IN}?password={SECRET}")
    Client().post("/sign-in/?next=/", {"username": "alice", "password": [SECRET, SECRET]})
    stored = str(list(AccessAttempt.objects.values()))
    output = "".join(capfd.readouterr()) + caplog.text
    for password in (SECRET, "alice-password"):
        assert password not in stored
        assert password not in output
    assert not AccessLog.objects.exists()
    assert not AccessFailureLog.objects.exists()


def test_the_present_password_is_no_easier_to_guess(alice: User, alice_client: Client) -> None:
    """Whoever has found a browser signed in has as many guesses as at the sign-in, together."""
    url, new = "/account/password/", "a long way to the tide pools"
    fields = {"old_password": SECRET, "new_password1": new, "new_password2": new}
    alice_client.defaults["REMOTE_ADDR"] = HERE
    attempt()
    for _ in range(LIMIT - 2):
        assert alice_client.post(url, fields).status_code == 422
    expect_refused(alice_client.post(url, fields))
    expect_refused(alice_client.post(url, {**fields, "old_password": "alice-password"}))
    expect_refused(attempt("alice-password"))
    alice.refresh_from_db()
    assert alice.check_password("alice-password")
    assert alice_client.get("/").status_code == 200
    assert SECRET not in str(list(AccessAttempt.objects.values()))


# ------------------------------------------------------------------------------- links by mail


def ask(address: str = HERE, email: str = "alice@example.org") -> Any:
    return Client(REMOTE_ADDR=address).post("/sign-in/forgotten/", {"email": email})


@pytest.fixture
def by_mail(settings: Settings, alice: User) -> None:
    settings.PASSWORD_RESET_BY_MAIL = True
    User.objects.filter(pk=alice.pk).update(email="alice@example.org")


def test_links_are_mailed_a_few_times_only_and_unknown_people_are_refused_alike(
    by_mail: None, mailoutbox: list[EmailMessage]
) -> None:
    texts = []
    for email in ("alice@example.org", "nobody@example.org"):
        assert [ask(email=email).status_code for _ in range(LIMIT - 1)] == [302, 302]
        texts += [expect_refused(ask(email=email)) for _ in range(2)]
    assert len(set(texts)) == 1
    assert len(mailoutbox) == LIMIT - 1


def test_many_addresses_together_cannot_fill_a_mailbox(
    by_mail: None, mailoutbox: list[EmailMessage]
) -> None:
    for number in range(LIMIT + 3):
        assert ask(f"198.51.100.{number}", "Alice@Example.org").status_code == 302
    assert len(mailoutbox) == LIMIT - 1


def test_a_mail_address_is_counted_without_being_kept(by_mail: None) -> None:
    long = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.org"
    for email in ("alice@example.org", long):
        assert ask(email=email).status_code == 302
    assert "@" not in str(list(AccessAttempt.objects.values()))
    longest = AccessAttempt._meta.get_field("username").max_length
    assert all(len(found.username) <= longest for found in AccessAttempt.objects.all())


def test_asking_for_links_locks_no_sign_in_and_the_other_way_round(by_mail: None) -> None:
    for _ in range(LIMIT):
        ask()
    assert attempt("alice-password").status_code == 302
    lock(address=THERE)
    assert ask(THERE).status_code == 302


def test_whoever_has_set_a_new_password_by_a_link_may_use_it(
    by_mail: None, mailoutbox: list[EmailMessage]
) -> None:
    lock()
    ask()
    client = Client(REMOTE_ADDR=HERE)
    new = "a long way to the tide pools"
    link = str(mailoutbox[0].body).partition("http://testserver")[2].split()[0]
    address = client.get(link)["Location"]
    client.post(address, {"new_password1": new, "new_password2": new})
    assert attempt(new).status_code == 302


# ----------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Nobody is believed who is no proxy of ours.
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("198.51.100.7", "", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        # What a client has written itself stands before what our proxies write.
        ("10.0.0.1", "192.0.2.66, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.66, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.66,203.0.113.9,bogus", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        # A customer's network is one client.
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        ("10.0.0.1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("", "203.0.113.9", None),
        ("unix:", "", None),
    ],
)
def test_only_our_proxies_are_believed_whom_they_speak_for(
    settings: Settings, peer: str, forwarded: str, client: str | None
) -> None:
    settings.PROXIES = networks(["10.0.0.0/8", "2001:db8:ffff::/48"])
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == client


def test_without_proxies_a_header_is_no_other_address(alice: User) -> None:
    for number in range(LIMIT):
        response = attempt(headers={"X-Forwarded-For": f"203.0.113.{number}"})
    expect_refused(response)


def test_behind_a_proxy_each_client_is_one_of_its_own(alice: User, settings: Settings) -> None:
    settings.PROXIES = networks([HERE])
    expect_refused(lock(headers={"X-Forwarded-For": "203.0.113.1"}))
    other = {"X-Forwarded-For": "203.0.113.1, 203.0.113.2"}
    assert attempt("alice-password", headers=other).status_code == 302


@pytest.mark.parametrize("given", ["proxy.example.org", "10.0.0.1/8", "10.0.0.0/33"])
def test_a_proxy_that_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="HOLDFAST_PROXIES"):
        networks([given])


def test_the_checks_of_axes_find_nothing() -> None:
    found = checks.run_checks(include_deployment_checks=True)
    assert [issue for issue in found if str(issue.id).startswith("axes")] == []
