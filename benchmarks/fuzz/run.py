"""One run, from the first start of the server to the last look."""

import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.support.server import Server
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .addresses import addresses
from .judging import Judge
from .making import Maker
from .options import Options
from .pages import forms_of
from .population import Population
from .report import Finding, Result
from .schema import drafts_of
from .slow import SlowBodies
from .state import State, changes

#: Batches between two lines that say how far the run is.
_STORY = 20
#: A run that has found so much is broken in one place, and the rest is noise.
_ENOUGH = 200
_SAFE = {"GET", "HEAD", "OPTIONS"}
#: Descriptors that come and go: connections, a thread's look at the database.
_SPARE_DESCRIPTORS = 12


def run(options: Options, say: Callable[[str], None]) -> Result:
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        # Its log may stay; everything else goes.
        if options.keep:
            stack.callback(_keep_log, server, options.keep)
        population = Population(server)
        stack.callback(population.close)
        result = Result(options.seed)
        judge = Judge(server.data, server.port, options.clients, result, say)
        stack.enter_context(judge)
        _Run(options, server, population, judge, result, say).do()
        return result


def _keep_log(server: Server, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.log").write_text(server.log)


class _Run:
    def __init__(
        self,
        options: Options,
        server: Server,
        population: Population,
        judge: Judge,
        result: Result,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._server = server
        self._population = population
        self._judge = judge
        self._result = result
        self._say = say

    def do(self) -> None:
        began = time.monotonic()
        self._population.begin()
        self._maker = self._prepared()
        self._say(f"prepared in {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        if self._options.only is None:
            self._send_all()
        else:
            self._send_one(self._options.only)
        self._result.seconds = time.monotonic() - began

    def _prepared(self) -> Maker:
        options, known = self._options, addresses()
        host = f"127.0.0.1:{self._server.port}"
        maker = Maker(options.seed, self._population, known, host)
        for name in ("alice", "root"):
            person = self._population.people[name]
            maker.use(forms_of(self._server, person, maker.places(person), known))
        count = options.requests * options.schema_percent // 100
        maker.use_schema(drafts_of(options.seed, count, known), options.schema_percent / 100)
        return maker

    def _send_one(self, number: int) -> None:
        ask = self._maker.ask(number)
        self._say(repr(ask.data))
        before = self._judge.quiet()
        [(_, answers)] = self._judge.sent([ask])
        self._say("\n".join(map(repr, answers)) or "no answer")
        for change in changes(before, self._judge.quiet()):
            self._say(str(change))
        self._judge.read_log()

    def _send_all(self) -> None:
        options, result, worker = self._options, self._result, self._server.worker_pid
        before = self._judge.quiet()
        with SlowBodies(self._server.port, self._population, options.slow) as slow:
            self._judge.excused = slow.ids
            for n in itertools.count():
                self._batch(range(n * options.batch, (n + 1) * options.batch))
                if not result.memory and result.requests >= options.requests // 5:
                    result.memory.append(self._server.own_bytes())
                    result.descriptors.append(self._server.descriptors())
                if n % _STORY == _STORY - 1:
                    self._say(self._story())
                if result.requests >= options.requests or len(result.findings) > _ENOUGH:
                    break
        result.slow_connections, result.slow_bytes = slow.begun, slow.bytes
        self._check_slow(before, slow.ids)
        self._check_server(worker)

    def _batch(self, numbers: range) -> None:
        """Send these, and once more those that were refused: nothing may change by them."""
        refused = self._judge.judged([self._maker.ask(number) for number in numbers])
        # What is cut off in its middle is answered now and then.
        again = [ask for ask in refused if ask.method not in _SAFE and not ask.half_closes]
        self._result.again += len(again)
        if len(self._judge.judged(again)) == len(again):
            self._result.exactly += len(again)
        self._population.repair()

    def _story(self) -> str:
        result, memory = self._result, self._server.own_bytes()
        return (
            f"{result.requests:,} of {self._options.requests:,}, {memory / MIB:.0f} MiB, "
            f"{len(result.findings)} findings"
        )

    def _check_slow(self, before: State, ids: set[str]) -> None:
        """What was sent so slowly, and never to its end, has changed nothing."""
        for change in changes(before, self._judge.quiet()):
            if change.ids & ids:
                self._judge.find(Finding(f"a body that never ended changed {change}"))

    def _check_server(self, worker: int) -> None:
        """It is the same process, and no larger."""
        result, find = self._result, self._judge.find
        if self._server.worker_pid != worker:
            find(Finding("the worker died, and another took its place"))
            return
        result.memory.append(self._server.own_bytes())
        most = result.descriptors[0] + _SPARE_DESCRIPTORS
        # The last connections may have ended only now. What is found open still is a finding.
        with suppress(TimeoutError):
            wait_until(lambda: self._server.descriptors() <= most, "the descriptors to be level")
        result.descriptors.append(self._server.descriptors())
        if result.memory[-1] > result.memory[0] + self._options.growth:
            find(Finding(f"the worker's memory grew: {result.memory} bytes"))
        if result.descriptors[-1] > most:
            find(Finding(f"descriptors were left open: {result.descriptors}"))
