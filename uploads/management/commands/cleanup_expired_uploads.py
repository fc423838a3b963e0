from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from uploads import conf
from uploads.engine.sweep_report import Sweep
from uploads.engine.sweeping import sweep

#: A hundred years: beyond it, dates end.
MOST_HOURS = 876_000


class Command(BaseCommand):
    help = (
        "Expire uploads that had no news for some hours, with their data; purge what has expired, "
        "failed or was cancelled as long ago; delete for good what owners have deleted; remove "
        "whatever a crash left behind; and count again what each user stores. Safe while uploads "
        "run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hours",
            type=float,
            help="hours without news after which an incomplete upload expires, and after which "
            "one that has ended without content is forgotten (default: the lifetime of a "
            "session, 48)",
        )
        parser.add_argument(
            "--completed-hours",
            type=float,
            help="also delete completed uploads, with their files, this many hours after their "
            "completion (default: never)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--verbose", action="store_true", help="a line for each item")

    def handle(self, *args: Any, **options: Any) -> None:
        hours = conf.current().session_hours if options["hours"] is None else options["hours"]
        result = sweep(
            _checked("--hours", hours),
            completed_hours=_checked("--completed-hours", options["completed_hours"]),
            dry_run=options["dry_run"],
            say=self.stdout.write if options["verbose"] else _silent,
        )
        for line in _table(result):
            self.stdout.write(line)
        if result.foreign_store:
            self.stderr.write(
                "The database knows of no upload at all, but there are files in the store. None "
                "was removed: see whether this is the database that belongs to them."
            )


def _checked(option: str, hours: float | None) -> Any:
    if hours is not None and not 0 <= hours <= MOST_HOURS:
        raise CommandError(f"{option} must be a number from 0 to {MOST_HOURS}.")
    return hours


def _silent(_: str) -> None:
    pass


def _table(result: Sweep) -> list[str]:
    rows = [
        ("sessions expired", result.expired),
        ("sessions purged", result.purged.total()),
        *((f"  {status}", count) for status, count in sorted(result.purged.items())),
        ("deleted by their owners", result.trash),
        ("sessions spared (still receiving)", result.spared),
        ("stuck verifications ended", result.recovered),
        ("orphaned staging folders", result.orphaned_folders),
        ("orphaned content files", result.orphaned_content),
        ("abandoned content", result.abandoned_content),
        ("sums of users corrected", result.recounted),
        ("refused by the disk", result.refused),
        ("bytes freed", result.bytes_freed),
    ]
    width = max(len(name) for name, _ in rows)
    digits = max(len(str(count)) for _, count in rows)
    title = "Would be cleaned up (dry run)" if result.dry_run else "Cleaned up"
    size = filesizeformat(result.bytes_freed).replace("\xa0", " ")
    lines = [f"  {name:<{width}}  {count:>{digits}}" for name, count in rows]
    return [f"{title}:", *lines[:-1], f"{lines[-1]}  ({size})"]
