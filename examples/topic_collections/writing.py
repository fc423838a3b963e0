"""Every change of a collection's text. A text is written only over the one that was read."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from django.core.files import File
from django.db.models import F

from .backups import back_up
from .models import TopicCollection
from .pairing import pair, urls_of
from .texts import byte_length, read_text

logger = logging.getLogger("examples.topic_collections")


class ChangedMeanwhile(Exception):
    """Another form has written the text since this one read it."""


@dataclass(slots=True)
class Replacement:
    """A text that is ready to replace another, which is in a file by now (None: it was empty)."""

    text: str
    version: int
    backup: Path | None

    @classmethod
    def prepare(cls, collection: TopicCollection, content: "File[Any]") -> Self:
        """All that takes long, before any transaction. Raises OSError.

        The old text has left the memory when the new one comes.
        """
        prepared = cls("", *_backed_up(collection.pk))
        try:
            prepared.text = read_text(content)
        except OSError:
            prepared.withdraw()
            raise
        return prepared

    def write(self, collection: TopicCollection) -> None:
        """In one statement, which holds the text as the driver does. Raises ChangedMeanwhile."""
        _write(collection.pk, self.text, self.version)
        # Pairs nothing: so many seeds take their time, and somebody who knows them.

    def withdraw(self) -> None:
        """Of what was not written, because somebody else was first. Only then: it would be the
        last copy of what a commit has replaced.
        """
        if self.backup is not None:
            self.backup.unlink(missing_ok=True)


def write_and_pair(collection: TopicCollection, text: str) -> None:
    """What was edited in the form. Within a transaction. Raises ChangedMeanwhile."""
    _write(collection.pk, text, collection.custom_seeds_version)
    pair(collection, urls_of(text))


def _backed_up(number: int) -> tuple[int, Path | None]:
    """The version of the text that is in the file."""
    found = TopicCollection.objects.values_list("custom_seeds_version", "custom_seeds")
    version, text = found.get(pk=number)
    path = back_up(number, text) if text else None
    logger.info("Collection %s: text %s is backed up as %s", number, version, path)
    return version, path


def _write(number: int, text: str, version: int) -> None:
    unchanged = TopicCollection.objects.filter(pk=number, custom_seeds_version=version)
    written = unchanged.update(
        custom_seeds=text,
        custom_seeds_bytes=byte_length(text),
        custom_seeds_version=F("custom_seeds_version") + 1,
    )
    if not written:
        raise ChangedMeanwhile
