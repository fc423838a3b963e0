"""Fixtures that every test may ask for. Each test has a store of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from uploads.engine.tokens import issue_token

hypothesis_settings.register_profile(
    "holdfast",
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.load_profile("holdfast")


@pytest.fixture(autouse=True, scope="session")
def static_root() -> None:
    """Whitenoise warns of a folder that nothing was collected into."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Whatever language a request was answered in, the next test begins without it."""
    translation.deactivate()
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def upload_root(settings: Settings) -> Iterator[Path]:
    """The root of a fresh store; gone after the test."""
    with tempfile.TemporaryDirectory(prefix="holdfast-store-", ignore_cleanup_errors=True) as name:
        root = Path(name) / "uploads"
        settings.UPLOADS = {"ROOT": root}
        yield root


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", password="alice-password")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", password="bob-password")


@pytest.fixture
def alice_client(alice: User) -> Client:
    """A browser in which alice is signed in."""
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def bob_client(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


@pytest.fixture
def alice_token(alice: User) -> str:
    return issue_token(alice, "test")
