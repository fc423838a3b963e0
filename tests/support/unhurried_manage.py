"""`manage.py` for a server whose times at its end are those of a test.

`python -m tests.support.unhurried_manage SHUTDOWN ENDING serve ...`: so many seconds for requests
under way, and so many for the worker after that. Where a test waits for one of these to pass it is
short, and where one may not pass it is longer than any busy machine takes.
"""

import os
import sys


def main() -> None:
    shutdown, ending = map(int, sys.argv[1:3])
    sys.argv[1:3] = []
    sys.path.insert(0, "site")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from uploads.management.commands import serve

    serve.SHUTDOWN_SECONDS, serve.ENDING_SECONDS = shutdown, ending
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
