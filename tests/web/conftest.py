"""Fixtures of the pages' tests."""

import pytest

from uploads.storage.filesystem import FilesystemStore

FREE_BYTES = 3 * 1024**3


@pytest.fixture(autouse=True)
def steady_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write to this disk: what the pages say is free would change between two looks."""
    monkeypatch.setattr(FilesystemStore, "free_bytes", lambda _: FREE_BYTES)
