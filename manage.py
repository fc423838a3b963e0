#!/usr/bin/env python3
"""Django's command line for the Holdfast site."""

import os
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent / "site"


def main() -> None:
    # site/ is a plain folder, not a package: a package of that name would shadow Python's own.
    sys.path.insert(0, str(SITE))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["runserver"]:
        # The development server: static files as they are, uncollected, and errors on the page.
        os.environ.setdefault("HOLDFAST_DEBUG", "1")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
