"""Copying between files, by the kernel and where it does not."""

import errno
import os
from pathlib import Path

import pytest

from uploads.storage.copying import copy_range

DATA = bytes(range(256)) * 10_000


def copied(folder: Path) -> bytes:
    (folder / "source").write_bytes(DATA)
    with (folder / "source").open("rb") as source, (folder / "target").open("w+b") as target:
        copy_range(source.fileno(), target.fileno(), 1000, 2_000_000, 500)
        copy_range(source.fileno(), target.fileno(), len(DATA), 10, 0)
    return (folder / "target").read_bytes()


EXPECTED = bytes(500) + DATA[1000:2_001_000]


def test_the_kernel_copies(tmp_path: Path) -> None:
    assert copied(tmp_path) == EXPECTED


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_it_cannot_the_bytes_are_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, "not here")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    assert copied(tmp_path) == EXPECTED


def test_a_system_without_the_call_copies_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert copied(tmp_path) == EXPECTED


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    with pytest.raises(OSError, match="full"):
        copied(tmp_path)
