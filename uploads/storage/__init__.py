"""Where the bytes are. `get_store()` is the one store of this project."""

from functools import cache
from pathlib import Path

from uploads import conf

from .base import (
    ContentFile,
    Incoming,
    Scratch,
    StagedFile,
    StagingFolder,
    StagingMissing,
    Store,
    Tail,
)
from .filesystem import FilesystemStore
from .page_cache import forget_cached

__all__ = [
    "ContentFile",
    "Incoming",
    "Scratch",
    "StagedFile",
    "StagingFolder",
    "StagingMissing",
    "Store",
    "Tail",
    "forget_cached",
    "get_store",
]


@cache
def _store_at(root: Path, group_reads: bool) -> FilesystemStore:
    return FilesystemStore(root, group_reads=group_reads)


def get_store() -> Store:
    config = conf.current()
    return _store_at(config.root, bool(config.accel_prefix))
