"""One run, from the first start of the server to the last look."""

import itertools
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.support.server import Server
from uploads.core.plan import MIB

from .addresses import addresses
from .client import Answer, Client
from .making import Ask, Maker
from .options import Options
from .oracle import complaints, is_accepted, logged
from .pages import forms_of
from .population import Population
from .report import Finding, Result
from .schema import drafts_of
from .slow import SlowBodies
from .state import Change, State, changes, ids_in, look, unaccounted
from .values import drawn

#: What requests still change after they were answered, such as a verification, ends within it.
_SETTLE_SECONDS = 5.0
_STEP = 0.05
#: Requests that are tried one by one to find out which of them has changed something.
_SUSPECTS = 40
#: Changes of one batch for which that is done: where one is wrong, others follow.
_BLAMED = 2
#: Batches between two lines that say how far the run is.
_STORY = 20
#: A run that has found so much is broken in one place, and the rest is noise.
_ENOUGH = 200
_SAFE = {"GET", "HEAD", "OPTIONS"}
#: Descriptors that come and go: connections, a thread's look at the database.
_SPARE_DESCRIPTORS = 12

Sent = tuple[Ask, list[Answer]]


def run(options: Options, say: Callable[[str], None]) -> Result:
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        # Its log may stay; everything else goes.
        if options.keep:
            stack.callback(_keep_log, server, options.keep)
        return _Run(options, server, say).result(stack)


def _keep_log(server: Server, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.log").write_text(server.log)


class _Run:
    def __init__(self, options: Options, server: Server, say: Callable[[str], None]) -> None:
        self._options = options
        self._server = server
        self._say = say
        self._found = Result(options.seed)
        self._population = Population(server)
        self._log_read = 0

    def result(self, stack: ExitStack) -> Result:
        began = time.monotonic()
        stack.callback(self._population.close)
        self._population.begin()
        self._maker = self._prepared()
        self._clients = [
            stack.enter_context(Client(self._server.port)) for _ in range(self._options.clients)
        ]
        self._pool = stack.enter_context(ThreadPoolExecutor(self._options.clients))
        self._say(f"prepared in {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        if self._options.only is not None:
            self._send_one(self._options.only)
        else:
            self._send_all()
        self._found.seconds = time.monotonic() - began
        return self._found

    def _prepared(self) -> Maker:
        options, known = self._options, addresses()
        maker = Maker(
            options.seed,
            self._population,
            drawn(options.seed, options.drawn),
            known,
            f"127.0.0.1:{self._server.port}",
        )
        for name in ("alice", "root"):
            person = self._population.people[name]
            maker.use(forms_of(self._server, person, maker.places(person), known))
        count = options.requests * options.schema_percent // 100
        maker.use_schema(drafts_of(options.seed, count, known), options.schema_percent / 100)
        return maker

    def _send_one(self, number: int) -> None:
        ask = self._maker.ask(number)
        self._say(repr(ask.data))
        before = self._quiet()
        [(_, answers)] = self._sent([ask])
        self._say("\n".join(map(repr, answers)) or "no answer")
        for change in changes(before, self._quiet()):
            self._say(str(change))
        self._read_log()

    def _send_all(self) -> None:
        options, worker = self._options, self._server.worker_pid
        before = self._quiet()
        with SlowBodies(self._server.port, self._population, options.slow) as slow:
            self._excused = slow.ids
            for n in itertools.count():
                asks = range(n * options.batch, (n + 1) * options.batch)
                self._batch([self._maker.ask(number) for number in asks])
                if not self._found.memory and self._found.requests >= options.requests // 5:
                    self._found.memory = [self._server.own_bytes()]
                    self._found.descriptors = [self._server.descriptors()]
                if n % _STORY == _STORY - 1:
                    self._say(self._story())
                if self._is_over():
                    break
        self._found.slow_connections, self._found.slow_bytes = slow.begun, slow.bytes
        self._check_slow(before, slow.ids)
        self._check_server(worker)

    def _batch(self, asks: list[Ask]) -> None:
        """Send these, and once more those that were refused: nothing may change by them."""
        refused = self._judged(asks)
        # What is cut off in its middle is answered now and then.
        changing = [ask for ask in refused if ask.method not in _SAFE and not ask.half_closes]
        self._found.again += len(changing)
        accepted_too = len(changing) - len(self._judged(changing))
        if not accepted_too:
            self._found.exactly += len(changing)
        self._population.repair()

    def _judged(self, asks: list[Ask]) -> list[Ask]:
        """Send them, and hold every answer and every change against them; those refused."""
        before = self._quiet()
        sent = self._sent(asks)
        accepted = [(ask, answers) for ask, answers in sent if is_accepted(ask, answers)]
        ids = {id_ for pair in accepted for id_ in _ids_of(*pair)} | self._excused
        suspects = [ask for ask, answers in sent if not is_accepted(ask, answers)]
        self._settled(before, ids, any_accepted=bool(accepted), suspects=suspects)
        self._read_log()
        return suspects

    def _sent(self, asks: Sequence[Ask]) -> list[Sent]:
        count = len(self._clients)

        def send(n: int) -> list[Sent]:
            return [(ask, self._clients[n].send(ask)) for ask in asks[n::count]]

        sent = [pair for pairs in self._pool.map(send, range(count)) for pair in pairs]
        for ask, answers in sent:
            self._note(ask, answers)
        return sent

    def _note(self, ask: Ask, answers: list[Answer]) -> None:
        first = answers[0] if answers else None
        self._found.count(ask, first.status if first else None)
        if first and first.status in {429, 503, 507}:
            self._found.passing[f"{first.status} {ask.group} ({ask.kind})"] += 1
        if first and first.status >= 400 and "json" in (first.header("Content-Type") or ""):
            with suppress(ValueError):
                self._found.codes[json.loads(first.body)["code"]] += 1
        for sentence in complaints(ask, answers):
            self._find(Finding(sentence, ask))

    def _quiet(self) -> State:
        """The state once nothing moves any more."""
        until = time.monotonic() + _SETTLE_SECONDS
        state = self._look()
        while time.monotonic() < until:
            time.sleep(_STEP)
            before, state = state, self._look()
            if before == state and not _is_verifying(state):
                break
        return state

    def _look(self) -> State:
        self._found.looks += 1
        return look(self._server.data)

    def _settled(
        self, before: State, ids: set[str], *, any_accepted: bool, suspects: list[Ask]
    ) -> None:
        """Find the changes since `before` that nothing accounts for and that stay."""
        until = time.monotonic() + _SETTLE_SECONDS
        while True:
            wrong = unaccounted(changes(before, self._look()), ids, any_accepted=any_accepted)
            if not wrong or time.monotonic() > until:
                break
            time.sleep(_STEP)
        for n, change in enumerate(wrong):
            culprit = self._culprit(change, suspects) if n < _BLAMED else None
            self._find(Finding(f"a refused request changed {change}", culprit))

    def _culprit(self, change: Change, suspects: list[Ask]) -> Ask | None:
        """The refused request that, sent once more by itself, changes something again."""
        naming = [ask for ask in suspects if ids_in(ask.data) & change.ids]
        for ask in (naming or suspects)[:_SUSPECTS]:
            before = self._quiet()
            self._clients[0].send(ask)
            if changes(before, self._quiet()):
                return ask
        return None

    def _read_log(self) -> None:
        with (self._server.data / "server.log").open("rb") as log:
            log.seek(self._log_read)
            fresh = log.read()
        self._log_read += len(fresh)
        for sentence in logged(fresh.decode(errors="replace")):
            self._find(Finding(sentence))

    def _find(self, finding: Finding) -> None:
        self._found.findings.append(finding)
        self._say(finding.shown(self._options.seed))

    def _is_over(self) -> bool:
        return self._found.requests >= self._options.requests or len(self._found.findings) > _ENOUGH

    def _story(self) -> str:
        found, memory = self._found, self._server.own_bytes()
        return (
            f"{found.requests:,} of {self._options.requests:,}, {memory / MIB:.0f} MiB, "
            f"{len(found.findings)} findings"
        )

    def _check_slow(self, before: State, ids: set[str]) -> None:
        """What was sent so slowly, and never to its end, has changed nothing."""
        for change in changes(before, self._quiet()):
            if change.ids & ids:
                self._find(Finding(f"a body that never ended changed {change}"))

    def _check_server(self, worker: int) -> None:
        """It is the same process, and no larger."""
        found = self._found
        if self._server.worker_pid != worker:
            self._find(Finding("the worker died, and another took its place"))
            return
        found.memory.append(self._server.own_bytes())
        found.descriptors.append(self._server.descriptors())
        if found.memory[-1] > found.memory[0] + self._options.growth:
            self._find(Finding(f"the worker's memory grew: {found.memory} bytes"))
        if found.descriptors[-1] > found.descriptors[0] + _SPARE_DESCRIPTORS:
            self._find(Finding(f"descriptors were left open: {found.descriptors}"))


def _is_verifying(state: State) -> bool:
    return any(
        "assembling" in row for (table, _), row in state.items() if table == "uploads_filesession"
    )


def _ids_of(ask: Ask, answers: list[Answer]) -> set[str]:
    """Every upload that the request or its answers name."""
    found = ids_in(ask.data)
    for answer in answers:
        found |= ids_in(answer.body)
        found |= ids_in(b" ".join(value for _, value in answer.headers))
    return found
