from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from uploads.engine.tokens import issue_token
from uploads.models import ALL_SCOPES, TokenScope

MOST_DAYS = 36500


class Command(BaseCommand):
    help = "Make a personal access token for scripts. It is printed once, alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user name of its owner")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument("--days", type=int, help="days until it expires (default: never)")
        parser.add_argument(
            "--scope",
            action="append",
            choices=TokenScope.values,
            help="what it may do, once for each: read (list and fetch files), upload (send files, "
            "go on with and cancel them), delete (default: all three)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            owner = users.objects.get_by_natural_key(options["user"])
        except users.DoesNotExist as error:
            raise CommandError(f"There is no user named {options['user']!r}.") from error
        days = options["days"]
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days must be from 1 to {MOST_DAYS}.")
        lifetime = timedelta(days=days) if days else None
        self.stderr.write("This token is shown only now. Send it as `Authorization: Bearer ...`.")
        scopes = [TokenScope(scope) for scope in options["scope"] or ALL_SCOPES]
        self.stdout.write(issue_token(owner, options["name"], lifetime, scopes))
