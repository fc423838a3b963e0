"""Does to the server what the plan says, when it says so, and undoes what ends again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from random import Random

from tests.support.proxy import Proxy
from uploads.failpoints import Failpoint

from .control import DATABASE, DATABASE_POINTS, DISK, DISK_ERRORS, STORE_POINTS
from .damage import DiskFiller, Orphans, flip_byte, flip_tail_byte
from .host import ChaosServer
from .plan import ENDING, Fault, PlannedFault
from .undoing import Later
from .world import World

#: Told the exit code and the output of a command that has ended.
Heard = Callable[[int, str], None]

_TICK = 0.05
#: A fault without a target now (no chunk to damage, say) is tried again for so long.
_TRY_AGAIN = 30.0
#: How long a crash waits for somebody to reach its point.
_CRASH_WAITS = 6.0
_HOUR = 3600.0
#: What a cleanup calls idle, in hours: now and then less than a client pauses between two chunks.
_IDLE_HOURS = (0.0005, 0.003, 0.006, 0.016)
_IDLE_WEIGHTS = (2, 3, 2, 1)
#: Holds the database for so many seconds.
_LOCKER = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
database.execute(f"BEGIN {sys.argv[2]}")
time.sleep(float(sys.argv[3]))
database.execute("ROLLBACK")
"""


class Director:
    def __init__(
        self, world: World, server: ChaosServer, proxy: Proxy, filler: DiskFiller, later: Later
    ) -> None:
        self._world, self._server, self._proxy = world, server, proxy
        self._filler, self._later = filler, later
        self._processes: list[tuple[subprocess.Popen[str], Heard]] = []
        #: Waiting for a target, with the moment when that is given up.
        self._waiting: list[tuple[PlannedFault, float]] = []
        self._is_tail = False
        self._orphans = Orphans(server.data / "uploads")
        self.happened: Counter[Fault] = Counter()
        #: The named points at which a process ended.
        self.crashes: Counter[str] = Counter()
        #: Starts after an end that no fault of ours had waited for.
        self.revivals = 0
        self._deeds: dict[Fault, Callable[[Random], bool]] = {
            Fault.KILL_SERVER: self._kill_server,
            Fault.KILL_WORKER: self._kill_worker,
            Fault.TERMINATE: self._terminate,
            Fault.CRASH: self._arm_crash,
            Fault.DROP: self._drop,
            Fault.CUT: self._cut,
            Fault.STALL: self._stall,
            Fault.OUTAGE: self._take_down,
            Fault.DISK_ERRORS: self._disk_errors,
            Fault.DATABASE_ERRORS: self._database_errors,
            Fault.FULL_DISK: self._fill_disk,
            Fault.FLIP: self._flip,
            Fault.FLIP_TAIL: self._flip_tail,
            Fault.LOCK: self._lock_database,
            Fault.CLEANUP: self._clean_up,
            Fault.CLEANUP_KILLED: self._kill_cleanup,
            Fault.ORPHANS: self._plant_orphans,
        }

    def run(self, faults: list[PlannedFault], progress: Callable[[], None]) -> None:
        """All of them, each at its moment or as soon after as can be.

        On a slow machine that is later: the tail begins when each kind that ends a process has
        happened, and the run ends when each other kind has, or is waited for in vain.
        """
        options = self._world.options
        begun = time.monotonic()
        tail = options.seconds - options.tail_seconds
        before = [fault for fault in faults if fault.at <= tail]
        self._do(before, begun, progress)
        self._go_on_until(begun + tail, progress)
        self._await(ENDING & {fault.kind for fault in before}, progress)
        self._spare_processes()
        end = max(begun + options.seconds, time.monotonic() + options.tail_seconds)
        self._do(faults[len(before) :], begun, progress)
        self._go_on_until(end, progress)
        self._await({fault.kind for fault in faults}, progress)

    def end(self) -> None:
        """No fault is left: what is under way is undone or waited for, and the server runs."""
        self._server.control.clear()
        self._proxy.release()
        self._proxy.heal()
        self._filler.empty()
        for process, _ in self._processes:
            process.wait(60)
        self._collect()
        self._server.revive_within(60)

    # What goes on between two faults.

    def _do(self, faults: list[PlannedFault], begun: float, progress: Callable[[], None]) -> None:
        for fault in faults:
            self._go_on_until(begun + fault.at, progress)
            self._attempt(fault, time.monotonic() + _TRY_AGAIN)

    def _await(self, kinds: Collection[Fault], progress: Callable[[], None]) -> None:
        """Go on until each has happened, or has long had no target."""
        end = time.monotonic() + _TRY_AGAIN
        while time.monotonic() < end and not all(self.happened[kind] for kind in kinds):
            self._go_on_until(time.monotonic() + _TICK, progress)

    def _go_on_until(self, moment: float, progress: Callable[[], None]) -> None:
        self._tick()
        while time.monotonic() < moment:
            progress()
            time.sleep(_TICK)
            self._tick()

    def _spare_processes(self) -> None:
        """From now on none ends, so that what leaks adds up in one."""
        self._is_tail = True
        self._server.control.disarm_crash()

    def _tick(self) -> None:
        self._collect()
        self._note_crash()
        if self._server.has_ended:
            self.revivals += self._server.revive()
        waiting, self._waiting = self._waiting, []
        for fault, until in waiting:
            if time.monotonic() < until:
                self._attempt(fault, until)

    def _attempt(self, fault: PlannedFault, until: float) -> None:
        """Do it, or put it back while it has no target."""
        if self._is_tail and fault.kind in ENDING:
            return
        if self._deeds[fault.kind](Random(fault.seed)):
            self.happened[fault.kind] += fault.kind is not Fault.CRASH
        else:
            self._waiting.append((fault, until))

    def _collect(self) -> None:
        """Hear from the commands that have ended."""
        running = []
        for process, heard in self._processes:
            if process.poll() is None:
                running.append((process, heard))
                continue
            assert process.stdout
            with process.stdout as output:
                heard(process.returncode, output.read())
        self._processes = running

    def _note_crash(self) -> None:
        point = self._server.control.crashed_at()
        if point:
            self.crashes[point] += 1
            self.happened[Fault.CRASH] += 1

    # Processes that end.

    def _kill_server(self, _: Random) -> bool:
        if self._server.has_ended:
            return False
        self._server.kill9()
        self._server.revive()
        return True

    def _terminate(self, _: Random) -> bool:
        if self._server.has_ended:
            return False
        self._server.stop()
        self._server.revive()
        return True

    def _kill_worker(self, rng: Random) -> bool:
        if self._server.has_ended:
            return False
        workers = self._server.worker_pids
        if not workers:
            return False
        os.kill(rng.choice(workers), signal.SIGKILL)
        return True

    def _arm_crash(self, rng: Random) -> bool:
        """It counts when it happens: see `_note_crash`."""
        control = self._server.control
        points = rng.sample(list(Failpoint), rng.choice([2, 8]))
        control.arm_crash(points, rng.choice([0, 0, 3]))
        # Where nobody comes by any of these, the next step of any kind has to do.
        self._later.after(_CRASH_WAITS, lambda: control.widen_crash(list(Failpoint)))
        return True

    # The network.

    def _drop(self, _: Random) -> bool:
        self._proxy.drop()
        return True

    def _cut(self, rng: Random) -> bool:
        self._proxy.cut_after(rng.randrange(2_000_000))
        self._later.after(rng.uniform(0.2, 1.5), self._proxy.heal)
        return True

    def _stall(self, rng: Random) -> bool:
        self._proxy.hold_after(rng.randrange(500_000))
        ending = self._proxy.release if rng.random() < 0.6 else self._proxy.drop
        self._later.after(rng.uniform(0.3, 3), ending)
        return True

    def _take_down(self, rng: Random) -> bool:
        self._proxy.go_down()
        self._later.after(rng.uniform(0.2, 2), self._proxy.heal)
        return True

    # The disk.

    def _disk_errors(self, rng: Random) -> bool:
        some = _half_or_more(rng, STORE_POINTS)
        number = rng.choice(DISK_ERRORS)
        self._server.control.inject(DISK, some, rng.uniform(0.05, 0.6), number)
        self._later.after(rng.uniform(0.5, 2.5), lambda: self._server.control.stop_injecting(DISK))
        return True

    def _database_errors(self, rng: Random) -> bool:
        some = _half_or_more(rng, DATABASE_POINTS)
        self._server.control.inject(DATABASE, some, rng.uniform(0.05, 0.5), 0)
        self._later.after(
            rng.uniform(0.3, 2), lambda: self._server.control.stop_injecting(DATABASE)
        )
        return True

    def _fill_disk(self, rng: Random) -> bool:
        if not self._filler.fill(rng):
            return False
        self._later.after(rng.uniform(0.3, 2.5), self._filler.empty)
        return True

    def _flip(self, rng: Random) -> bool:
        return flip_byte(self._world.ledger, self._server.data / "uploads" / "staging", rng)

    def _flip_tail(self, rng: Random) -> bool:
        return flip_tail_byte(self._world.ledger, self._server.data, rng)

    # The database.

    def _lock_database(self, rng: Random) -> bool:
        longest = self._world.options.longest_lock
        # Mostly short: while it lasts, nothing that writes goes on.
        seconds = rng.uniform(0.3, min(3, longest)) if rng.random() < 0.85 else longest
        how = rng.choice(["IMMEDIATE", "EXCLUSIVE"])
        database = str(self._server.database)
        process = subprocess.Popen(
            [sys.executable, "-c", _LOCKER, database, how, f"{seconds:.2f}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append((process, lambda *_: None))
        return True

    # Cleaning up.

    def _clean_up(self, rng: Random) -> bool:
        old = self._orphans.old()

        def heard(code: int, said: str) -> None:
            # A database that was locked, or a full disk, is a reason not to come to an end; and
            # beside a database that knows of no upload yet, nothing is called an orphan.
            if code == 0 and "knows of no upload" not in said:
                self._orphans.check(self._world.ledger, old)

        self._begin_cleanup(rng, heard)
        return True

    def _kill_cleanup(self, rng: Random) -> bool:
        process = self._begin_cleanup(rng, lambda *_: None)
        self._later.after(rng.uniform(0.2, 1.2), process.kill)
        return True

    def _plant_orphans(self, rng: Random) -> bool:
        return self._orphans.plant(rng)

    def _begin_cleanup(self, rng: Random, heard: Heard) -> subprocess.Popen[str]:
        [hours] = rng.choices(_IDLE_HOURS, _IDLE_WEIGHTS)
        cleanup = self._world.ledger.cleanup_began(hours * _HOUR, time.time())

        def ended(code: int, said: str) -> None:
            cleanup.ended = time.time()
            heard(code, said)

        process = self._server.begin_command(
            "cleanup_expired_uploads", "--hours", str(hours), "--verbose"
        )
        self._processes.append((process, ended))
        return process


def _half_or_more(rng: Random, points: Collection[Failpoint]) -> list[Failpoint]:
    return rng.sample(sorted(points), rng.randint(len(points) // 2, len(points)))
