import math
import os
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from tqdm import tqdm

from uploads.engine.rereading import (
    Finding,
    Verdict,
    damaged_content,
    due_content,
    live_content,
    reread_content,
    reread_damaged,
)
from uploads.errors import StorageUnavailable
from uploads.models import StoredFile

#: A century: beyond it, dates come to their end.
MOST_HOURS = 24 * 365 * 100
#: More than any store holds, and less than databases take for a LIMIT.
MOST_FILES = 10**12
#: So many uploads of a damaged file stand in its line; it may be everybody's.
MOST_UPLOADS = 20

EXIT_DAMAGED = 1
EXIT_UNREADABLE = 2
#: As shells have it for what Ctrl-C has ended.
EXIT_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Read stored files again and compare them with their SHA-256. A damaged file is marked and "
        "not served until it is uploaded again, or found whole again because somebody brought its "
        "bytes back. Progress is kept file by file: run again, it goes "
        "on where it was interrupted or came to its bounds. Safe while uploads run. Exit codes: "
        "0 all sound; 1 something is damaged, found now or earlier and neither mended nor deleted "
        "since; 2 nothing is damaged, but something could not be read; 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hours",
            type=float,
            help="begin no further file after so many hours, such as 0.5 (default: no bound)",
        )
        parser.add_argument(
            "--limit", type=int, help="read at most so many files (default: no bound)"
        )
        parser.add_argument(
            "--again-after",
            type=float,
            default=24.0,
            metavar="HOURS",
            help="skip what was found sound within so many hours (default: 24)",
        )
        parser.add_argument("--verbose", action="store_true", help="a line for each file")

    def handle(self, *args: Any, **options: Any) -> None:
        _check_bounds(options)
        try:
            tally = self._verified(options)
            lines = _table(tally)
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(
                f"The database refused: {error}. What was found before that is kept: run it again.",
                returncode=EXIT_UNREADABLE,
            ) from error
        for line in lines:
            self.stdout.write(line)
        _raise_unless_sound(tally)

    def _verified(self, options: dict[str, Any]) -> "Tally":
        before = timezone.now() - timedelta(hours=options["again_after"])
        tally = Tally(before, lately=live_content().count() - due_content(before).count())
        damaged = list(damaged_content().order_by("pk"))
        hours = options["hours"]
        end = tally.began + (math.inf if hours is None else hours * 3600)
        try:
            with closing(Progress(before, options["limit"])) as progress:
                self._read(tally, progress, options["limit"], end, verbose=options["verbose"])
            self._read_damaged(damaged, tally, options["limit"], end)
        except KeyboardInterrupt:
            tally.interrupted = True
        except StorageUnavailable as error:
            tally.no_storage = True
            self.stderr.write(str(error))
        return tally

    def _read(
        self,
        tally: "Tally",
        progress: "Progress",
        limit: int | None,
        end: float,
        *,
        verbose: bool,
    ) -> None:
        def on_bytes(count: int) -> None:
            tally.read(count)
            progress.read(count)

        seconds = end - time.monotonic()
        for finding in reread_content(
            tally.before, limit=limit, seconds=seconds, on_bytes=on_bytes
        ):
            tally.verdicts[finding.verdict] += 1
            progress.file_done(finding.stored.size)
            if finding.wrong or verbose:
                with progress.hidden():
                    self.stdout.write(_line(finding))
                    self.stdout.flush()

    def _read_damaged(
        self, damaged: list[StoredFile], tally: "Tally", limit: int | None, end: float
    ) -> None:
        """What was found damaged earlier, within the bounds that are left: is it still?"""
        left = None if limit is None else limit - tally.verdicts.total()
        for finding in reread_damaged(
            damaged, limit=left, seconds=end - time.monotonic(), on_bytes=tally.read
        ):
            tally.restored += finding.verdict == Verdict.RESTORED
            tally.damaged_earlier += finding.verdict == Verdict.DAMAGED
            if finding.verdict != Verdict.GONE:
                self.stdout.write(_line(finding))


@dataclass(slots=True)
class Tally:
    """What a run has found so far. What was found sound since `before`, `lately`, is not read."""

    before: datetime
    lately: int
    began: float = field(default_factory=time.monotonic)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    damaged_earlier: int = 0
    restored: int = 0
    bytes_read: int = 0
    interrupted: bool = False
    no_storage: bool = False

    def read(self, count: int) -> None:
        self.bytes_read += count

    @property
    def damaged(self) -> int:
        return self.verdicts[Verdict.DAMAGED] + self.damaged_earlier

    @property
    def unreadable(self) -> int:
        return self.verdicts[Verdict.UNREADABLE]


def _check_bounds(options: dict[str, Any]) -> None:
    for name in ("hours", "again_after"):
        hours = options[name]
        if hours is not None and not 0 <= hours <= MOST_HOURS:
            option = name.replace("_", "-")
            raise _wrong_bound(f"--{option} must be a number from 0 to {MOST_HOURS}.")
    limit = options["limit"]
    if limit is not None and not 0 <= limit <= MOST_FILES:
        raise _wrong_bound(f"--limit must be a whole number from 0 to {MOST_FILES}.")


def _wrong_bound(message: str) -> CommandError:
    """Nothing was read, which must not look like damage."""
    return CommandError(message, returncode=EXIT_UNREADABLE)


class Progress:
    """A bar over bytes on standard error, shown only if that is a terminal."""

    def __init__(self, before: datetime, limit: int | None) -> None:
        due = due_content(before)[:limit].aggregate(files=Count("pk"), size=Sum("size"))
        self._files: int = due["files"]
        self._done = 0
        #: Bytes of the files that are done, whether the disk gave as many or not.
        self._expected = 0
        sized = _knows_its_size()
        self._bar = tqdm(
            desc=self._count(),
            total=due["size"] or 0,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=None,
            # tqdm would show nothing at all for 0 columns.
            dynamic_ncols=sized,
            ncols=None if sized else 80,
            nrows=None if sized else 24,
        )

    def read(self, count: int) -> None:
        self._bar.update(count)

    def file_done(self, size: int) -> None:
        self._done += 1
        self._expected += size
        self._bar.set_description_str(self._count(), refresh=False)
        self._bar.update(self._expected - self._bar.n)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """While a line is written, which on a terminal would end up in the bar."""
        self._bar.clear()
        yield
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()

    def _count(self) -> str:
        return f"{self._done}/{self._files} files"


def _knows_its_size() -> bool:
    """Whether standard error is a terminal that does; one on a serial line says 0 by 0."""
    try:
        return all(os.get_terminal_size(sys.stderr.fileno()))
    except OSError:
        return False


def _line(finding: Finding) -> str:
    stored = finding.stored
    line = f"{finding.verdict} {stored.sha256} ({stored.size} bytes, {stored.pk})"
    if finding.wrong:
        line += f": {finding.wrong}"
    if finding.verdict == Verdict.DAMAGED:
        line += f"; {_uploads_of(stored)}"
    return line


def _uploads_of(stored: StoredFile) -> str:
    """Whose it is and under which names, quoted: they are other people's words."""
    sessions = stored.sessions.select_related("owner").order_by("created_at", "pk")
    found = list(sessions[: MOST_UPLOADS + 1])
    if not found:
        return "no upload refers to it any more"
    named = [f"by {s.owner.get_username()!r} as {s.filename!r}" for s in found[:MOST_UPLOADS]]
    others = ["and by others"] if len(found) > MOST_UPLOADS else []
    return f"uploaded {', '.join([*named, *others])}"


def _table(tally: Tally) -> list[str]:
    due = due_content(tally.before).count()
    rows = [
        ("sound", tally.verdicts[Verdict.SOUND]),
        ("damaged", tally.verdicts[Verdict.DAMAGED]),
        ("damaged, found earlier", tally.damaged_earlier),
        ("damaged earlier, restored now", tally.restored),
        ("unreadable", tally.unreadable),
        ("deleted meanwhile", tally.verdicts[Verdict.GONE]),
        ("verified lately, not read", tally.lately),
        ("left for the next run", max(0, due - tally.unreadable)),
        ("bytes read", tally.bytes_read),
    ]
    width = max(len(name) for name, _ in rows)
    title = "Verified, until it was interrupted" if tally.interrupted else "Verified"
    return [f"{title}:", *(f"  {name:<{width}}  {count}" for name, count in rows), _sum(tally)]


def _sum(tally: Tally) -> str:
    seconds = time.monotonic() - tally.began
    size, rate = (
        filesizeformat(count).replace("\xa0", " ")
        for count in (tally.bytes_read, tally.bytes_read / max(seconds, 0.001))
    )
    return f"  = {size} in {seconds:.0f} s, {rate}/s"


def _raise_unless_sound(tally: Tally) -> None:
    if tally.interrupted:
        raise CommandError(
            "Interrupted. Run again, it goes on from here.", returncode=EXIT_INTERRUPTED
        )
    if tally.damaged:
        raise CommandError(
            f"Stored files that are damaged and not served: {tally.damaged}. Each is mended when "
            "its content is uploaded again.",
            returncode=EXIT_DAMAGED,
        )
    if tally.no_storage:
        raise CommandError("The storage could not be read.", returncode=EXIT_UNREADABLE)
    if tally.unreadable:
        raise CommandError(
            f"Stored files that could not be read: {tally.unreadable}. They count neither as sound "
            "nor as damaged; look at the disk, then run this again.",
            returncode=EXIT_UNREADABLE,
        )
