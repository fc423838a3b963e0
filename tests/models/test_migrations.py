"""What was there before a migration is afterwards as if it had been made with the new code."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from uploads.models import FileKind, FileSession, Usage

dashboard = import_module("uploads.migrations.0003_dashboard")


@pytest.fixture
def before(transactional_db: None) -> Iterator[Any]:
    """The apps as they were before the dashboard's columns; in the end all is as it should be."""
    executor = MigrationExecutor(connection)
    executor.migrate([("uploads", "0002_damaged_content")])
    yield executor.loader.project_state([("uploads", "0002_damaged_content")]).apps
    migrated()


def migrated() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("uploads"))


def test_older_uploads_are_found_sorted_and_counted(
    before: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "BATCH", 2)
    users = [User.objects.create_user(name) for name in ("alice", "bob", "carol", "dora")]
    content = before.get_model("uploads", "StoredFile").objects.create(
        sha256="a" * 64, size=10, state="live"
    )
    sessions = before.get_model("uploads", "FileSession").objects
    given = {"size": 10, "chunk_size": 5, "expires_at": timezone.now() + timedelta(hours=1)}
    whole = {"status": "completed", "sha256": "a" * 64, "stored_file": content, **given}
    for user in users[:3]:
        for number in range(2):
            sessions.create(owner_id=user.pk, filename=f"Film {number}.MKV", **whole)
    sessions.create(owner_id=users[3].pk, filename="Unfinished", mime_type="text/plain", **given)
    migrated()
    sums = Usage.objects.order_by("pk").values_list("owner", "stored_files", "stored_bytes")
    assert list(sums) == [(user.pk, 2, 20) for user in users[:3]]
    found = FileSession.objects.order_by("owner", "filename")
    assert [session.search_name for session in found] == ["film 0.mkv", "film 1.mkv"] * 3 + [
        "unfinished"
    ]
    assert [session.kind for session in found] == [FileKind.VIDEO] * 6 + [FileKind.DOCUMENT]
