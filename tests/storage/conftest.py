"""The stores that the contract suite runs over: add one here and it is held to the contract."""

from collections.abc import Callable
from pathlib import Path

import pytest

from uploads.storage import Store
from uploads.storage.filesystem import FilesystemStore

#: Each makes a store in an empty folder.
STORES: dict[str, Callable[[Path], Store]] = {"filesystem": FilesystemStore}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, upload_root: Path) -> Store:
    store = STORES[request.param](upload_root)
    store.prepare()
    return store
