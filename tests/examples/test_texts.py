"""E8: how often a text is in memory while it takes the place of another."""

import codecs
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files import File

from examples.topic_collections.backups import back_up
from examples.topic_collections.texts import byte_length, check_text, read_text

SIZE = 32 * 1024 * 1024
LINE = b"https://example.org/a/page/of/many\n"


@pytest.fixture
def large(tmp_path: Path) -> Any:
    path = tmp_path / "seeds.txt"
    path.write_bytes(LINE * (SIZE // len(LINE)))
    with path.open("rb") as file:
        yield File(file, str(path))


def peak(work: Callable[[], object]) -> float:
    """Bytes that Python held at once while `work` was done, in parts of SIZE."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / SIZE
    finally:
        tracemalloc.stop()


def test_e8_a_text_is_read_into_one_copy(large: "File[Any]") -> None:
    assert peak(lambda: read_text(large)) < 1.05


def test_e8_a_text_is_checked_without_a_copy(large: "File[Any]") -> None:
    assert peak(lambda: check_text(large)) < 0.25


def test_e8_a_text_is_measured_and_backed_up_without_a_copy(
    large: "File[Any]", backup_folder: Path
) -> None:
    text = read_text(large)[:-1] + "ä"
    assert peak(lambda: byte_length(text)) < 0.25
    assert peak(lambda: back_up(1, text)) < 0.25


def test_e8_what_is_no_text_is_refused_without_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "seeds.txt"
    path.write_bytes(b"a" * SIZE + b"\xff")

    def refuse() -> None:
        with path.open("rb") as file, pytest.raises(ValidationError):
            check_text(File(file))

    assert peak(refuse) < 0.25


@pytest.mark.parametrize("text", ["", "a", "ä€\n" * 1000])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_storage_without_files_is_read_as_well(text: str, mark: bytes) -> None:
    def content() -> "File[Any]":
        return File(BytesIO(mark + text.encode()), "seeds.txt")

    check_text(content())
    assert read_text(content()) == text


def test_a_draft_that_could_not_be_written_does_not_stay(
    backup_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no room"):
        back_up(1, "text")
    assert list(backup_folder.iterdir()) == []
