"""The engine's tests run outside any transaction, so that commits and threads are real."""

import threading
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.tasks import drop_tasks
from uploads.engine import database


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


@pytest.fixture
def one_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """This thread is none of the few that keep the database open."""
    database.let_go_of_databases()
    monkeypatch.setattr(database, "_places", threading.Semaphore(0))
