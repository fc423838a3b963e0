"""What is replaced is written to a dated file first."""

import os
import secrets
from pathlib import Path

from django.utils import timezone

from . import conf
from .texts import PIECE


def back_up(number: int, text: str) -> Path:
    """Write the text of collection `number` to a file of its own; its path. Raises OSError.

    The file gets its name when its bytes are on the disk: whatever has the name is whole.
    """
    folder = conf.backups()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    moment = timezone.now().strftime("%Y-%m-%dT%H-%M-%SZ")
    path = folder / f"collection-{number}-{moment}-{secrets.token_hex(4)}.txt"
    draft = path.with_suffix(".part")
    try:
        _write(draft, text)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(folder)
    return path


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.writelines(text[at : at + PIECE].encode() for at in range(0, len(text), PIECE))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A name is on the disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
