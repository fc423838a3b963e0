"""`manage.py serve`: the server that a service file calls, and `make run`."""

import os
import resource
import secrets
import socket
from argparse import ArgumentParser
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from granian.constants import HTTPModes, Interfaces
from granian.errors import ConfigurationError
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from uploads import conf
from uploads.core.bodies import READ_SIZE
from uploads.management.static_files import collect_if_changed
from uploads.worker import load_application

FIRST_USER = "admin"
#: Threads beyond those that may wait for bodies, for verifications and for the readers of
#: downloads: for pages, forms and refusals.
SPARE_THREADS = 64
#: Connections of a worker, most of them idle between requests; more wait to be accepted. Half of
#: the descriptors at most: the other half is for files and databases.
MAX_CONNECTIONS = 4096
#: Where the system names no bound of its own.
ENOUGH_DESCRIPTORS = 4 * MAX_CONNECTIONS
#: How long requests under way may take to end when the server is told to stop.
SHUTDOWN_SECONDS = 10
#: What a worker then has to end by itself, its connections gone. After that it is killed.
ENDING_SECONDS = 5
#: Python runs in one thread of a process at a time, so each processor gets a process, up to here:
#: SQLite has one writer at a time, and each worker takes some 70 MiB at rest.
MAX_WORKERS = 4
_ALL_ADDRESSES = {str(IPv4Address(0)), str(IPv6Address(0))}


class Command(BaseCommand):
    help = "Serve Holdfast with granian."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to bind (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to bind (8000)")
        parser.add_argument(
            "--workers",
            type=int,
            default=min(_processors(), MAX_WORKERS),
            help=f"processes (as many as processors, but at most {MAX_WORKERS}: %(default)s)",
        )
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="first migrate, collect static files and make the first account",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not (1 <= options["port"] <= 65535 and options["workers"] >= 1):
            raise CommandError("--port is from 1 to 65535, and --workers 1 or more.")
        if options["prepare"]:
            self._prepare()
        self._check_migrated()
        _check_collected()
        connections.close_all()
        self._serve(options["host"], options["port"], options["workers"])

    def _prepare(self) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        if not settings.DEBUG:
            collect_if_changed()
        self._make_first_account()

    def _check_migrated(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not up to date. Run `manage.py migrate` first.")

    def _make_first_account(self) -> None:
        users = get_user_model()
        if users.objects.exists():
            return
        given = os.environ.get("HOLDFAST_PASSWORD")
        password = given or secrets.token_urlsafe(12)
        users.objects.create_superuser(FIRST_USER, password=password)
        shown = "the password of HOLDFAST_PASSWORD" if given else f"the password {password}"
        self.stdout.write(f"Made the account {FIRST_USER!r} with {shown} (shown only now).")

    def _allow_host(self, host: str, shown: str) -> str:
        """Answer to the address that was asked for, or if that is all of them, to our own name.

        Returns which it is.
        """
        if host in _ALL_ADDRESSES:
            shown = socket.gethostname()
            if "HOLDFAST_HOSTS" not in os.environ:
                self.stdout.write(
                    f"Answering to localhost and {shown} only; other names and addresses that "
                    "people will use go into HOLDFAST_HOSTS."
                )
        if shown not in settings.ALLOWED_HOSTS:
            settings.ALLOWED_HOSTS.append(shown)
        # For workers that start afresh instead of as a fork of this process.
        os.environ["HOLDFAST_HOSTS"] = ",".join(settings.ALLOWED_HOSTS)
        return shown

    def _serve(self, host: str, port: int, workers: int) -> None:
        config = conf.current()
        address = _address(host)
        server = Server(
            settings.WSGI_APPLICATION,
            address=address,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers,
            # HTTP/2 would put many bodies on one connection, and one that moves would hide the rest
            # from the watchdog of `uploads.connections`.
            http=HTTPModes.http1,
            # granian holds up to five such buffers for a stalled body, beside the pool (P8). Larger
            # ones are no faster. A request's head must fit into one, too.
            http1_settings=HTTP1Settings(max_buffer_size=READ_SIZE),
            # A worker that dies is replaced; one kept from ending is killed.
            respawn_failed_workers=True,
            workers_kill_timeout=SHUTDOWN_SECONDS + ENDING_SECONDS,
            # They are made when needed, and go after 30 s without work.
            blocking_threads=config.max_readers
            + config.max_waiters
            + config.max_downloads
            + SPARE_THREADS,
            backpressure=min(MAX_CONNECTIONS, _allow_descriptors() // 2),
            log_level=LogLevels.error,
            websockets=False,
        )
        shown = f"[{host}]" if ":" in host else host
        shown = self._allow_host(host, shown)
        _check_free(address, port)
        self.stdout.write(f"Holdfast serves http://{shown}:{port} (Ctrl-C ends it).")
        self.stdout.flush()
        try:
            server.serve(
                target_loader=partial(
                    load_application,
                    server_pid=os.getpid(),
                    port=port,
                    workers=workers,
                    shutdown_seconds=SHUTDOWN_SECONDS,
                )
            )
        except ConfigurationError as error:
            raise CommandError("granian refused its configuration, see above.") from error


def _processors() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _address(host: str) -> str:
    """The address of a host name, or the address itself: granian binds to nothing else."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CommandError(f"--host {host} has no address: {error}.") from error
    # A name like localhost has one of each kind; the older kind is there everywhere.
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def _check_collected() -> None:
    """Without the list of collected files every page would be an error."""
    read = getattr(staticfiles_storage, "read_manifest", None)
    if read and not read():
        raise CommandError(
            "Static files are not collected. Run `manage.py collectstatic`, or serve --prepare."
        )


def _allow_descriptors() -> int:
    """Have as many descriptors as the system lets this process have; how many.

    The usual 1024 is less than the threads need: each has a connection, and may have a body's file,
    a staged file and a database open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def _check_free(host: str, port: int) -> None:
    """granian shares its port with whoever binds it too; two servers would take turns."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"Cannot serve at {host} port {port}: {error.strerror}.") from error
