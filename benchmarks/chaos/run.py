"""One run, from the first start of the server to the last check."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.support.proxy import Proxy
from tests.support.server import REPOSITORY
from tests.support.waiting import wait_until

from .checks import leaked, leftovers
from .clients import Clients
from .damage import DiskFiller
from .director import Director
from .host import SECOND_USER, ChaosServer, scratch
from .ledger import Ledger
from .options import Options
from .plan import Fault, Mischief, Stream, planned_faults
from .report import Result
from .traffic import Link
from .undoing import Later
from .world import World

Say = Callable[[str], object]

_PROGRESS_SECONDS = 10.0
_LOOK_SECONDS = 0.1
#: The server's descriptors settle as connections are closed and threads end. A connection that was
#: left standing is ended by the server after 75 s; what is open after that stays open.
_DESCRIPTOR_SECONDS = 90.0
_NO_MOUNT = "no memory disk can be mounted (only injected errors)"
_VERIFY = REPOSITORY / "uploads" / "management" / "commands" / "verify_uploads.py"


def run(options: Options, say: Say = print) -> Result:
    """Do all that the seed plans and check all that must hold; what came of it."""
    workers = Random(f"{options.seed}/workers").choice([1, 1, 2])
    result = Result(options.seed, options.seconds, workers)
    say(f"seed {options.seed}: {options.seconds:g} s, {options.clients} clients, {workers} workers")
    with scratch(options) as (root, data, can_be_filled):
        if not can_be_filled:
            result.impossible[Fault.FULL_DISK] = _NO_MOUNT
        try:
            with ChaosServer(root, data, options, workers) as server:
                _Run(options, server, result, say).do(can_be_filled=can_be_filled)
        finally:
            _keep_log(root / "server.log", options, result, say)
    return result


class _Run:
    def __init__(self, options: Options, server: ChaosServer, result: Result, say: Say) -> None:
        self._options, self._server, self._result, self._say = options, server, result, say
        self._ledger = Ledger()
        self._told_failures = 0
        self._begun = self._told = time.monotonic()

    def do(self, *, can_be_filled: bool) -> None:
        faults = planned_faults(self._options, full_disk=can_be_filled)
        filler = DiskFiller(self._server.data, can_fill=can_be_filled)
        with Proxy(self._server.port) as proxy, ExitStack() as stack:
            links = self._links(proxy.url)
            for link in links:
                stack.callback(link.close)
            before = self._idle_descriptors()
            world = World(self._options, links, self._ledger)
            clients = Clients(world)
            with Later() as later:
                director = Director(world, self._server, proxy, filler, later)
                clients.start()
                try:
                    director.run(faults, lambda: self._progress(director))
                    self._await_mischief()
                finally:
                    # Also when the run is broken off: its threads must end.
                    world.over.set()
                    world.deadline = time.time() + self._options.settle_seconds
            director.end()
            self._note_errors(later)
            self._settle(clients)
            clients.read_kept_again()
            for link in links:
                link.close()
            self._result.bytes_sent = proxy.bytes_upstream
            self._check(before)
        self._sum_up(director)

    def _links(self, url: str) -> list[Link]:
        self._server.manage(
            "createsuperuser", "--noinput", f"--username={SECOND_USER}", "--email=second@localhost"
        )
        tokens = [self._server.issue_token(), self._server.issue_token(SECOND_USER)]
        return [Link(url, token, self._options.answer_seconds) for token in tokens]

    def _idle_descriptors(self) -> Counter[str]:
        """Of the server at rest, once its threads have come up."""
        time.sleep(0.5)
        return self._server.descriptors_by_kind()

    def _progress(self, director: Director) -> None:
        for failure in self._ledger.failures[self._told_failures :]:
            self._told_failures += 1
            self._tell(f"FAILURE {failure}")
        if time.monotonic() < self._told + _PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        counts = self._ledger.counts
        self._tell(
            f"{sum(director.happened.values())} faults, {counts['uploads completed']} uploads "
            f"completed, {len(self._ledger.failures)} failures"
        )

    def _await_mischief(self) -> None:
        """On a slow machine the clients may not yet have come to all that each run has."""
        end = time.monotonic() + self._options.settle_seconds
        kinds = [*Mischief, *Stream]
        while time.monotonic() < end and not all(self._ledger.counts[kind] for kind in kinds):
            time.sleep(_LOOK_SECONDS)

    def _tell(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._begun:6.1f} s  {text}")

    def _note_errors(self, later: Later) -> None:
        for error in later.errors:
            self._ledger.fail("error in the benchmark", repr(error))

    def _settle(self, clients: Clients) -> None:
        """Without faults, everything completes."""
        quiet = time.time()
        self._tell("no more faults; what is open completes")
        patience = self._options.restart_after
        last = quiet + self._options.settle_seconds + 2 * self._options.answer_seconds
        while clients.at_work:
            time.sleep(0.1)
            if time.time() > last:
                self._ledger.fail("clients never ended", f"{clients.at_work} of them")
                break
            if patience is not None and time.time() > quiet + patience:
                patience = None
                self._tell("restarting, so that cut-off verifications are taken up at once")
                self._server.restart()
        self._result.settled = max([0.0, *(moment - quiet for moment in clients.completions)])

    # The checks.

    def _check(self, before: Counter[str]) -> None:
        self._tell("checking")
        self._check_descriptors(before)
        # What a crash left is spared for an hour, and what expired is shown for as long.
        for hours in (2, 4):
            self._command(hours, "cleanup_expired_uploads", "--hours", "1", "--verbose")
        for sentence in leftovers(self._server.data):
            self._ledger.fail("left behind", sentence)
        if _VERIFY.exists():
            self._command(4, "verify_uploads", "--again-after", "0")

    def _check_descriptors(self, before: Counter[str]) -> None:
        def is_settled() -> bool:
            return not leaked(before, self._server.descriptors_by_kind())

        try:
            wait_until(is_settled, "the server's descriptors", _DESCRIPTOR_SECONDS)
        except TimeoutError:
            for sentence in leaked(before, self._server.descriptors_by_kind()):
                self._ledger.fail("P8 descriptors leaked", sentence)
            self._server.log_who_holds_what()

    def _command(self, hours: float, *arguments: str) -> None:
        code, said = self._server.command_later(hours, *arguments)
        if code:
            self._ledger.fail(f"{arguments[0]} ended with {code}", said[-1500:])

    def _sum_up(self, director: Director) -> None:
        result, counts = self._result, self._ledger.counts
        result.faults = {kind: director.happened[kind] for kind in Fault}
        result.faults |= {kind: counts.pop(kind, 0) for kind in Mischief}
        result.streams = {kind: counts.pop(kind, 0) for kind in Stream}
        result.crashes = dict(director.crashes)
        result.errors_raised = self._server.control.errors_raised
        result.counts = dict(counts)
        result.starts = self._server.starts
        result.revivals = director.revivals
        result.failures = list(self._ledger.failures)


def _keep_log(log: Path, options: Options, result: Result, say: Say) -> None:
    """Keep the server's log where it was asked for, and show its end after a failure."""
    text = log.read_text(errors="replace") if log.exists() else ""
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / "server.log").write_text(text)
        say(f"the server's log: {options.keep / 'server.log'}")
    if not result.is_good:
        say("the end of the server's log:\n" + "\n".join(text.splitlines()[-40:]))
