"""Ask for the pages of a user with more and more files; print queries, time and bytes of each.

    python benchmarks/dashboard.py
    python benchmarks/dashboard.py --sizes 100,1000 --samples 5

For each size there is a scratch database (SQLite) in which the user has that many sessions and
another user as many more. The requests go through the whole site, in this process, without the
network; each on a connection of its own, as the server makes them. A time is the median of the
samples, in ms. Ends with 1 if a page needs more queries in one database than in another.
"""

import argparse
import atexit
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(tempfile.mkdtemp(prefix="holdfast-dashboard-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)
EMPTY = DATA / "empty.sqlite3"
sys.path[:0] = [str(ROOT), str(ROOT / "site")]
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "HOLDFAST_DATA": str(DATA),
    "HOLDFAST_DATABASE_URL": f"sqlite:///{EMPTY}",
    "HOLDFAST_DEBUG": "0",
}
import django

django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from benchmarks.dashboard_rows import FOLDER, NEEDLE, OTHER_STATES, RARE, fill
from uploads import conf
from uploads.core.plan import KIB
from uploads.models import FileSession, SessionStatus
from uploads.web.fragments import SEEN
from uploads.web.listing import SORTS, UNFINISHED, Edge, Listing

SIZES = [100, 1_000, 10_000, 100_000]
SAMPLES = 21
#: Of each other state, whatever the size, so that the front page shows the same number of rows.
#: Enough files are complete then, even of a hundred, for a full page with one after it.
OF_EACH = 8
#: And of each, for a user who has much under way: more than the front page shows.
OF_EACH_BUSY = 100
#: A list shows how much space is left, which may change between two requests.
ATTEMPTS = 3

#: The types of Django's test client have no public name for it.
Response = Any


@dataclass(frozen=True)
class Case:
    """One request, and the status of its answer."""

    name: str
    address: str
    partial: bool = False
    #: Of the user who has much under way.
    busy: bool = False
    #: With the digest of what the page shows already.
    seen: bool = False
    status: int = 200


@dataclass
class Figures:
    """Of one case in one database."""

    queries: int
    bytes: int
    seconds: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        return median(self.seconds) * 1000


class Site:
    """A database with so many sessions of one user, and the browsers signed in to it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._path = DATA / f"{size}.sqlite3"
        shutil.copy(EMPTY, self._path)
        self.enter()
        # The same rows at each run.
        dice = random.Random(size)
        alice, bob, carol = (User.objects.create_user(name) for name in ("alice", "bob", "carol"))
        fill(alice, size, OF_EACH, dice)
        fill(bob, size, OF_EACH, dice)
        fill(carol, size=SIZES[0] + len(OTHER_STATES) * OF_EACH_BUSY, each=OF_EACH_BUSY, dice=dice)
        self._alice, self._carol = _signed_in(alice), _signed_in(carol)
        self.cases = cases(alice)

    def enter(self) -> None:
        """Have the next connection lead here."""
        connection.close()
        connection.settings_dict["NAME"] = str(self._path)

    def prepared(self, case: Case) -> Callable[[], Response]:
        """The request, which will make a connection of its own."""
        self.enter()
        client = self._carol if case.busy else self._alice
        # Tells htmx apart from a browser, and a part of a page from a page to be boosted.
        headers = {"HX-Request": "true", "HX-Request-Type": "partial"} if case.partial else {}
        address = case.address
        if case.seen:
            address += f"?{SEEN}={_digest(client.get(address, headers=headers))}"
            connection.close()
        return partial(client.get, address, headers=headers)


def cases(user: User) -> list[Case]:
    """All that is measured, in the database of now."""
    front, rows = reverse("uploads:dashboard"), reverse("uploads:handshake")
    completed = FileSession.objects.owned_by(user).filter(status=SessionStatus.COMPLETED)
    some = completed.order_by("-updated_at")[completed.count() // 2]
    return [
        Case("front page", front),
        Case("list partial", rows, partial=True),
        Case("list partial, seen", rows, partial=True, seen=True, status=204),
        *(Case(name, front + listing.query()) for name, listing in _pages(user)),
        Case("search, nearly all match", front + Listing(search=FOLDER).query()),
        Case("search, one matches", front + Listing(search=NEEDLE).query()),
        Case("search, none matches", front + Listing(search="nowhere").query()),
        Case("search, none, largest", front + Listing(search="nowhere", sort="largest").query()),
        Case("kind, nearly all", front + Listing(kind="image").query()),
        Case(f"kind, {RARE} files", front + Listing(kind="audio").query()),
        Case(f"kind, {RARE} files, largest", front + Listing(kind="audio", sort="largest").query()),
        Case("details", reverse("uploads:details", kwargs={"session_id": some.pk})),
        Case("all under way", front + Listing(shown=UNFINISHED).query()),
        Case("busy user, front page", front, busy=True),
        Case("busy user, all under way", front + Listing(shown=UNFINISHED).query(), busy=True),
    ]


def _pages(user: User) -> Iterator[tuple[str, Listing]]:
    """A page in the middle, the one before that place, and the last, in three orders."""
    completed = FileSession.objects.owned_by(user).filter(status=SessionStatus.COMPLETED)
    count, page = completed.count(), conf.current().page_size
    for name in ("newest", "name", "largest"):
        sort = SORTS[name]
        sign = "-" if sort.descending else ""
        ordered = completed.order_by(f"{sign}{sort.field}", f"{sign}id")
        # A full page with one after it, even where there are few.
        middle = Edge.of(ordered[min(count // 2, count - page - 2)], sort)
        back = Edge.of(ordered[max(count // 2, page + 1)], sort)
        yield f"{name}, middle", Listing(sort=name, after=middle)
        yield f"{name}, back from the middle", Listing(sort=name, before=back)
        yield f"{name}, last", Listing(sort=name, after=Edge.of(ordered[count - page - 1], sort))


def _digest(shown: Response) -> str:
    found = re.search(rf'"{SEEN}": "(\w+)"', shown.content.decode())
    if not found:
        raise SystemExit("the list has no digest of what it shows")
    return found[1]


def _signed_in(user: User) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client


def measure(sites: list[Site], number: int, samples: int) -> list[Figures]:
    """The case of that number in each database, by turns, so that noise hits all alike."""
    figures = [_first_figures(site, site.cases[number]) for site in sites]
    for _ in range(samples):
        for site, its in zip(sites, figures, strict=True):
            its.seconds.append(_ask(site, site.cases[number])[1])
    return figures


def _first_figures(site: Site, case: Case) -> Figures:
    """Without a time: a first answer loads templates, and to keep the queries takes time."""
    response, _ = _ask(site, case)
    request = site.prepared(case)
    with CaptureQueriesContext(connection) as queries:
        request()
    return Figures(len(queries), len(response.content))


def _ask(site: Site, case: Case) -> tuple[Response, float]:
    """The answer, and the seconds it took."""
    for _ in range(ATTEMPTS):
        request = site.prepared(case)
        begun = time.perf_counter()
        response = request()
        seconds = time.perf_counter() - begun
        if response.status_code == case.status:
            return response, seconds
    raise SystemExit(f"{case.name}: {response.status_code} instead of {case.status}")


def header(sites: list[Site]) -> str:
    sizes = "".join(f"{f'{site.size:,}':>20}" for site in sites)
    return f"{'ms and KiB, with sessions':<30}{'queries':>8}{sizes}{'ratio':>16}"


def line(name: str, figures: list[Figures]) -> str:
    """The ratios, of times and of bytes, are those of the largest database to the smallest."""
    counts = "/".join(dict.fromkeys(str(its.queries) for its in figures))
    cells = "".join(f"{its.ms:>11.1f}{its.bytes / KIB:>9.1f}" for its in figures)
    first, last = figures[0], figures[-1]
    size_ratio = last.bytes / first.bytes if first.bytes else 1
    return f"{name:<30}{counts:>8}{cells}{last.ms / first.ms:>9.2f}{size_ratio:>7.2f}"


def plans(site: Site) -> str:
    """How the database finds what each page asks for."""
    return "\n".join(f"\n{case.name}\n{_plan(site, case)}" for case in site.cases)


def _plan(site: Site, case: Case) -> str:
    """With the parameters apart, as they are sent: values in the text let it use more indexes."""
    sent: list[tuple[str, Any]] = []

    def keep(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, *rest)

    request = site.prepared(case)
    with connection.execute_wrapper(keep):
        request()
    return "\n".join(f"  {sql}{_steps(sql, params)}" for sql, params in sent)


def _steps(sql: str, params: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return "".join(f"\n    -> {row[3]}" for row in cursor.fetchall())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=_sizes, default=SIZES, help="of the user, each at least 100 (all four)"
    )
    parser.add_argument("--samples", type=int, default=SAMPLES, help=f"for a median ({SAMPLES})")
    parser.add_argument("--plans", action="store_true", help="print the largest database's plans")
    options = parser.parse_args()
    # Ended from outside, it still removes its databases.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prepare()
    sites = [Site(size) for size in options.sizes]
    print(header(sites), flush=True)
    constant = True
    for number, case in enumerate(sites[0].cases):
        figures = measure(sites, number, options.samples)
        constant &= len({its.queries for its in figures}) == 1
        print(line(case.name, figures), flush=True)
    if options.plans:
        print(plans(sites[-1]))
    connection.close()
    print("queries constant" if constant else "the number of queries grows with the sessions")
    return 0 if constant else 1


def prepare() -> None:
    """What `manage.py serve --prepare` does, but for the account."""
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    connection.close()


def _sizes(text: str) -> list[int]:
    sizes = sorted(int(part) for part in text.split(","))
    if sizes[0] < SIZES[0]:
        raise argparse.ArgumentTypeError(f"a page is not full with less than {SIZES[0]} sessions")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
