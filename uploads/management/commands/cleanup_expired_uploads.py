from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from uploads import conf
from uploads.engine.sweeping import Sweep, sweep


class Command(BaseCommand):
    help = (
        "Purge uploads that were not completed and had no news for some hours, with their data, "
        "and whatever a crash left behind. Safe while uploads run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hours",
            type=float,
            help="hours without news after which an incomplete upload goes (default: the "
            "lifetime of a session, 48)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--verbose", action="store_true", help="a line for each item")

    def handle(self, *args: Any, **options: Any) -> None:
        hours = conf.current().session_hours if options["hours"] is None else options["hours"]
        if not 0 <= hours <= 24 * 365 * 100:
            raise CommandError("--hours must be a number from 0 to 876000.")
        say = self.stdout.write if options["verbose"] else _silent
        result = sweep(hours, dry_run=options["dry_run"], say=say)
        for line in _table(result):
            self.stdout.write(line)


def _silent(_: str) -> None:
    pass


def _table(result: Sweep) -> list[str]:
    rows = [
        ("sessions purged", result.sessions.total()),
        *((f"  {status}", count) for status, count in sorted(result.sessions.items())),
        ("sessions spared (still receiving)", result.spared),
        ("stuck verifications ended", result.recovered),
        ("orphaned staging folders", result.orphaned_folders),
        ("abandoned content", result.removed_content),
        ("refused by the disk", result.refused),
        ("bytes freed", result.bytes_freed),
    ]
    width = max(len(name) for name, _ in rows)
    title = "Would be cleaned up (dry run)" if result.dry_run else "Cleaned up"
    size = filesizeformat(result.bytes_freed).replace("\xa0", " ")
    return [f"{title}:", *(f"  {name:<{width}}  {count}" for name, count in rows), f"  = {size}"]
