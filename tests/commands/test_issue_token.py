"""manage.py issue_token."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from tests.support.tokens import find_owner
from uploads.models import AccessToken


def issue(*arguments: str) -> str:
    out = StringIO()
    call_command("issue_token", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_token_is_alone_on_the_last_line(alice: User) -> None:
    token = issue("alice").splitlines()[-1]
    assert find_owner(token) == alice
    assert " " not in token


def test_only_a_hash_is_stored_and_an_end_can_be_set(alice: User) -> None:
    token = issue("alice", "--days", "1", "--name", "ci").splitlines()[-1]
    row = AccessToken.objects.get()
    assert row.expires_at is not None
    assert (row.name, (row.expires_at - row.created_at).days) == ("ci", 1)
    assert token not in str(vars(row))


@pytest.mark.parametrize(
    ("arguments", "scopes"),
    [
        ([], {"read", "upload", "delete"}),
        (["--scope", "read"], {"read"}),
        (["--scope", "upload", "--scope", "delete", "--scope", "upload"], {"upload", "delete"}),
    ],
)
def test_it_may_what_it_was_made_for(alice: User, arguments: list[str], scopes: set[str]) -> None:
    issue("alice", *arguments)
    assert AccessToken.objects.get().scopes == scopes


@pytest.mark.parametrize(
    "arguments",
    [
        ("nobody",),
        ("alice", "--days", "0"),
        ("alice", "--scope", "write"),
        ("alice", "--scope", ""),
    ],
)
def test_a_wrong_argument_is_refused(alice: User, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        issue(*arguments)
    assert not AccessToken.objects.exists()
