"""The engine's tests run outside any transaction, so that commits and threads are real."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.tasks import drop_tasks


@pytest.fixture(autouse=True)
def committed(transactional_db: None, settings: Settings) -> Iterator[None]:
    """What a test commits, its threads see; what it enqueues waits for `run_tasks`."""
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}
    yield
    drop_tasks()


@pytest.fixture
def alice(committed: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob(committed: None) -> User:
    return User.objects.create_user("bob")
