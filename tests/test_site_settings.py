"""site/config: what an operator sets is what holds, and what cannot be right is said."""

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from config import secret
from config.environment import is_local, names, switch, whole_number
from config.mail import MailServer, mail_server
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from tests.support.server import REPOSITORY

PRODUCTION = {
    "HOLDFAST_HOSTS": "files.example.org",
    "HOLDFAST_ORIGINS": "https://files.example.org",
    "HOLDFAST_SECRET_KEY": "c0ral-reefs-are-older-than-any-of-the-keys-we-make-for-them",
}
MAIL = {"HOLDFAST_EMAIL_URL": "smtp://localhost", "HOLDFAST_EMAIL_FROM": "holdfast@example.org"}


def load(monkeypatch: pytest.MonkeyPatch, data: Path, **environment: str) -> ModuleType:
    """The settings as a process with that environment, and no other of ours, has them."""
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    for name, value in {"HOLDFAST_DATA": str(data), **environment}.items():
        monkeypatch.setenv(name, value)
    file = REPOSITORY / "site" / "config" / "settings.py"
    spec = importlib.util.spec_from_file_location("config.settings_of_a_test", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_deploy(data: Path, **environment: str) -> str:
    """What `manage.py check --deploy` says; it fails with any warning."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "DJANGO_"))}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**kept, "HOLDFAST_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_check_deploy_finds_nothing_once_hosts_origins_and_key_are_told(tmp_path: Path) -> None:
    assert "no issues (3 silenced)" in check_deploy(tmp_path / "data", **PRODUCTION)


def test_behind_a_proxy_that_says_what_came_by_tls_nothing_has_to_be_silenced_for_it(
    tmp_path: Path,
) -> None:
    environment = {**PRODUCTION, **MAIL, "HOLDFAST_TLS_HEADER": "X-Forwarded-Proto"}
    environment |= {"HOLDFAST_PROXIES": "127.0.0.1"}
    assert "no issues (2 silenced)" in check_deploy(tmp_path / "data", **environment)


def test_cookies_stay_on_tls_when_every_origin_is_https(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = load(monkeypatch, tmp_path, **PRODUCTION)
    assert (found.SESSION_COOKIE_SECURE, found.CSRF_COOKIE_SECURE) == (True, True)
    assert found.SECURE_HSTS_SECONDS == 3600
    assert not hasattr(found, "SECURE_PROXY_SSL_HEADER")
    assert not hasattr(found, "SECURE_SSL_REDIRECT")
    mixed = {**PRODUCTION, "HOLDFAST_ORIGINS": "https://a.example.org,http://b.example.org"}
    assert load(monkeypatch, tmp_path, **mixed).SESSION_COOKIE_SECURE is False


def test_plain_http_on_this_machine_needs_nothing_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = load(monkeypatch, tmp_path)
    assert (found.SESSION_COOKIE_SECURE, found.SECURE_HSTS_SECONDS) == (False, 0)
    assert not hasattr(found, "SECURE_SSL_REDIRECT")
    assert found.PROXIES == []
    assert found.PASSWORD_RESET_BY_MAIL is False
    assert found.DEBUG is False


def test_a_proxy_s_header_is_believed_once_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    more = {"HOLDFAST_TLS_HEADER": "X-Forwarded-Proto", "HOLDFAST_HSTS_SECONDS": "31536000"}
    found = load(monkeypatch, tmp_path, **PRODUCTION, **more)
    assert found.SECURE_PROXY_SSL_HEADER == ("HTTP_X_FORWARDED_PROTO", "https")
    assert found.SECURE_SSL_REDIRECT is True
    assert found.SECURE_HSTS_SECONDS == 31536000
    hosts = {"HOLDFAST_HOSTS": "files.example.org"}
    assert load(monkeypatch, tmp_path, **hosts, **more).SESSION_COOKIE_SECURE is True
    off = {**PRODUCTION, "HOLDFAST_HSTS_SECONDS": "0"}
    assert load(monkeypatch, tmp_path, **off).SECURE_HSTS_SECONDS == 0


@pytest.mark.django_db
def test_hsts_is_said_over_tls_only_and_the_header_of_nobody_else_is_believed(
    settings: Settings,
) -> None:
    settings.SECURE_HSTS_SECONDS = 3600
    forwarded = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in Client().get("/sign-in/", headers=forwarded)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT = True
    said = Client().get("/sign-in/", headers=forwarded)
    assert said["Strict-Transport-Security"] == "max-age=3600"
    plain = Client().get("/sign-in/?next=/")
    assert (plain.status_code, plain["Location"]) == (301, "https://testserver/sign-in/?next=/")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HOLDFAST_DEBUG": "1", "HOLDFAST_HOSTS": "files.example.org"}, "HOLDFAST_DEBUG=1 shows"),
        ({"HOLDFAST_DEBUG": "1", "HOLDFAST_HOSTS": "localhost,*"}, "HOLDFAST_DEBUG=1 shows"),
        ({"HOLDFAST_DEBUG": "yes"}, "HOLDFAST_DEBUG is 'yes'; expected 0 or 1"),
        ({"HOLDFAST_SIGN_IN_FAILURES": "0"}, "HOLDFAST_SIGN_IN_FAILURES is '0'"),
        ({"HOLDFAST_SIGN_IN_MINUTES": "-1"}, "HOLDFAST_SIGN_IN_MINUTES is '-1'"),
        ({"HOLDFAST_HSTS_SECONDS": "a year", **PRODUCTION}, "HOLDFAST_HSTS_SECONDS is 'a year'"),
        ({"HOLDFAST_PROXIES": "nginx"}, "HOLDFAST_PROXIES"),
        ({"HOLDFAST_EMAIL_URL": "smtp://localhost"}, "needs HOLDFAST_EMAIL_FROM"),
        ({**MAIL, "HOLDFAST_HOSTS": "*"}, "names instead of \\*"),
        ({**MAIL, "HOLDFAST_EMAIL_URL": "localhost:25"}, "HOLDFAST_EMAIL_URL begins with"),
    ],
)
def test_what_cannot_be_right_is_said_before_anything_is_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        load(monkeypatch, tmp_path, **environment)


def test_debug_is_for_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load(monkeypatch, tmp_path, HOLDFAST_DEBUG="1").DEBUG is True
    assert is_local("dev.localhost")
    assert not any(map(is_local, ["*", ".example.org", "0.0.0.0", "notlocalhost", ".local"]))


def test_a_mail_server_that_is_named_is_the_one_that_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = "smtp+tls://me%40example.org:p%3Ass%2Fw@mail.example.org"
    found = load(monkeypatch, tmp_path, **{**MAIL, "HOLDFAST_EMAIL_URL": url})
    assert found.PASSWORD_RESET_BY_MAIL is True
    assert (found.EMAIL_HOST, found.EMAIL_PORT) == ("mail.example.org", 587)
    assert (found.EMAIL_HOST_USER, found.EMAIL_HOST_PASSWORD) == ("me@example.org", "p:ss/w")
    assert (found.EMAIL_USE_TLS, found.EMAIL_USE_SSL) == (True, False)
    assert found.DEFAULT_FROM_EMAIL == "holdfast@example.org"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://localhost", MailServer()),
        ("smtp://[::1]:2525/", MailServer(host="::1", port=2525)),
        ("smtps://mail", MailServer(host="mail", port=465, use_ssl=True)),
        ("smtps://a@mail:1", MailServer(host="mail", port=1, user="a", use_ssl=True)),
    ],
)
def test_urls_of_mail_servers(url: str, expected: MailServer) -> None:
    assert mail_server(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "imap://mail",
        "smtp://",
        "smtp://a:secret@mail:x",
        "smtp://a:secret@[mail",
        "smtp://a:sec/ret@mail",
        "smtp://mail?tls=1",
        "file://folder",
        "file:relative",
    ],
)
def test_a_url_of_no_mail_server_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="HOLDFAST_EMAIL_URL") as raised:
        mail_server(url)
    assert "secret" not in str(raised.value)


def test_the_key_and_the_database_are_for_this_account_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "made"
    old = os.umask(0o022)
    try:
        found = load(monkeypatch, data)
    finally:
        os.umask(old)
    files = {path.name: mode(path) for path in data.iterdir()}
    assert files == {"holdfast.sqlite3": 0o600, "secret_key": 0o600}
    assert mode(data) == 0o700
    assert (data / "secret_key").read_text() == found.SECRET_KEY
    assert load(monkeypatch, data).SECRET_KEY == found.SECRET_KEY
    assert load(monkeypatch, tmp_path / "other").SECRET_KEY != found.SECRET_KEY


def test_a_database_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.sqlite3"
    path.write_bytes(b"what it holds")
    os.utime(path, (1, 1))
    secret.private_file(path)
    assert path.read_bytes() == b"what it holds"
    assert path.stat().st_mtime == 1


def test_a_key_of_the_environment_is_kept_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = load(monkeypatch, tmp_path, **PRODUCTION)
    assert PRODUCTION["HOLDFAST_SECRET_KEY"] == found.SECRET_KEY
    assert not (tmp_path / "secret_key").exists()


def test_lists_may_have_blanks_and_numbers_may_not_be_anything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDFAST_OF_A_TEST", " a, b ,,c,")
    assert names("HOLDFAST_OF_A_TEST") == ["a", "b", "c"]
    numbers: list[tuple[str, Any]] = [("7", 7), ("", None), ("٣", None), ("1e3", None)]
    for given, expected in numbers:
        monkeypatch.setenv("HOLDFAST_OF_A_TEST", given)
        if expected:
            assert whole_number("HOLDFAST_OF_A_TEST", 1) == expected
            continue
        with pytest.raises(ImproperlyConfigured):
            whole_number("HOLDFAST_OF_A_TEST", 1)
    monkeypatch.delenv("HOLDFAST_OF_A_TEST")
    assert switch("HOLDFAST_OF_A_TEST") is False
