"""Folders on a local disk that others make, fill, empty and remove at the same moment."""

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uploads.failpoints import Failpoint, reach

from .base import StagingMissing

logger = logging.getLogger("uploads.storage")


def sync_folder(path: Path) -> None:
    """Return when the names in it are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        reach(Failpoint.FOLDER_SYNC)
        os.fsync(fd)
    finally:
        os.close(fd)


def rename_into_folder(source: Path, target: Path) -> None:
    """Rename, making the folder as often as a concurrent `delete` takes it away empty.

    A target that is there already is the file itself, moved before a crash.
    """
    while True:
        reach(Failpoint.CONTENT_FOLDER)
        # Without parents: where the disk is not mounted, nothing is to look as if it were.
        with contextlib.suppress(FileExistsError):
            target.parent.mkdir()
        reach(Failpoint.CONTENT_RENAME)
        try:
            source.rename(target)
        except FileNotFoundError as error:
            if target.exists():
                return
            if not source.exists():
                raise StagingMissing(source.parent.name) from error
        else:
            return


def remove_folder(folder: Path) -> None:
    """Remove a folder whose files may vanish meanwhile, because their owners end."""
    with os.scandir(folder) as entries:
        for entry in entries:
            reach(Failpoint.STAGING_REMOVE_FILE)
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)
    reach(Failpoint.STAGING_REMOVE_FOLDER)
    try:
        folder.rmdir()
    except OSError as error:
        # A body began to arrive in between: it will be refused, and a later sweep takes the rest.
        if error.errno != errno.ENOTEMPTY:
            raise


@contextmanager
def left_out(path: Path | str) -> Iterator[None]:
    """One entry of a list: gone meanwhile, no folder, or, which is logged, refused by the disk."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        logger.exception("%s cannot be looked at", path)


def remove_if_empty(folder: Path) -> bool:
    """Whether it went. Another copy of the content may be there, or arriving: then it stays."""
    reach(Failpoint.CONTENT_REMOVE_FOLDER)
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def lists_any(folder: Path) -> bool:
    """Whether there is anything in it; of one that has gone meanwhile nothing is left to do."""
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except (FileNotFoundError, NotADirectoryError):
        return True


def bytes_on_disk(folder: Path) -> int:
    """Bytes that the files of `folder` take, holes not counted.

    Only ever told to people, so what cannot be looked at counts for nothing.
    """
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
