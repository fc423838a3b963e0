"""Sends requests, and holds what comes of them against what must hold."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from .client import Answer, Client
from .making import Ask
from .oracle import complaints, is_accepted, logged
from .report import Finding, Result
from .state import Change, State, changes, ids_in, look, unaccounted

#: What requests still change after they were answered, such as a verification, ends within it; on
#: a busy machine too.
_SETTLE_SECONDS = 30.0
_STEP = 0.05
#: Requests that are tried one by one to find out which of them has changed something.
_SUSPECTS = 40
#: Changes of one batch for which that is done: where one is wrong, others follow.
_BLAMED = 2

Sent = tuple[Ask, list[Answer]]


class Judge:
    """`with Judge(...)`: with so many connections to a server at `port`, whose folder is `data`.

    What is wrong goes to `result`, and is said at once.
    """

    def __init__(
        self, data: Path, port: int, clients: int, result: Result, say: Callable[[str], None]
    ) -> None:
        self._data = data
        self._clients = [Client(port) for _ in range(clients)]
        self._result = result
        self._say = say
        self._log_read = 0
        #: Ids, in hex, of uploads that something else is at work on.
        self.excused: set[str] = set()

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        for client in self._clients:
            self._stack.enter_context(client)
        self._pool = self._stack.enter_context(ThreadPoolExecutor(len(self._clients)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def judged(self, asks: Sequence[Ask]) -> list[Ask]:
        """Send them, and hold every answer and every change against them; those refused."""
        before = self.quiet()
        sent = self.sent(asks)
        accepted = [(ask, answers) for ask, answers in sent if is_accepted(ask, answers)]
        ids = {id_ for pair in accepted for id_ in _ids_of(*pair)} | self.excused
        refused = [ask for ask, answers in sent if not is_accepted(ask, answers)]
        self._check_changes(before, ids, refused, any_accepted=bool(accepted))
        self.read_log()
        return refused

    def sent(self, asks: Sequence[Ask]) -> list[Sent]:
        """Each with its answers, which are looked at and counted."""
        count = len(self._clients)

        def send(n: int) -> list[Sent]:
            return [(ask, self._clients[n].send(ask)) for ask in asks[n::count]]

        sent = [pair for pairs in self._pool.map(send, range(count)) for pair in pairs]
        for ask, answers in sent:
            self._note(ask, answers)
        return sent

    def quiet(self) -> State:
        """The state once nothing moves any more."""
        until = time.monotonic() + _SETTLE_SECONDS
        state = self._look()
        while time.monotonic() < until:
            time.sleep(_STEP)
            before, state = state, self._look()
            if before == state and not _is_verifying(state):
                break
        return state

    def read_log(self) -> None:
        """What has come since it was last read."""
        with (self._data / "server.log").open("rb") as log:
            log.seek(self._log_read)
            fresh = log.read()
        self._log_read += len(fresh)
        for sentence in logged(fresh.decode(errors="replace")):
            self.find(Finding(sentence))

    def find(self, finding: Finding) -> None:
        self._result.findings.append(finding)
        self._say(finding.shown(self._result.seed))

    def _note(self, ask: Ask, answers: list[Answer]) -> None:
        first = answers[0] if answers else None
        self._result.count(ask, first.status if first else None)
        if first and first.status in {429, 503, 507}:
            self._result.passing[f"{first.status} {ask.group} ({ask.kind})"] += 1
        if first and first.status >= 400 and "json" in (first.header("Content-Type") or ""):
            with suppress(ValueError):
                self._result.codes[json.loads(first.body)["code"]] += 1
        for sentence in complaints(ask, answers):
            self.find(Finding(sentence, ask))

    def _look(self) -> State:
        self._result.looks += 1
        return look(self._data)

    def _check_changes(
        self, before: State, ids: set[str], refused: list[Ask], *, any_accepted: bool
    ) -> None:
        """Find the changes since `before` that nothing accounts for and that stay."""
        until = time.monotonic() + _SETTLE_SECONDS
        while True:
            found = changes(before, self._look())
            wrong = unaccounted(found, ids, any_accepted=any_accepted)
            if not wrong or time.monotonic() > until:
                break
            time.sleep(_STEP)
        for n, change in enumerate(wrong):
            culprit = self._culprit(change, refused) if n < _BLAMED else None
            self.find(Finding(f"a refused request changed {change}", culprit))

    def _culprit(self, change: Change, refused: list[Ask]) -> Ask | None:
        """The refused request that, sent once more by itself, changes something again."""
        naming = [ask for ask in refused if ids_in(ask.data) & change.ids]
        for ask in (naming or refused)[:_SUSPECTS]:
            before = self.quiet()
            self._clients[0].send(ask)
            if changes(before, self.quiet()):
                return ask
        return None


def _is_verifying(state: State) -> bool:
    return any(
        row["status"] == "assembling"
        for (table, _), row in state.items()
        if table == "uploads_filesession"
    )


def _ids_of(ask: Ask, answers: list[Answer]) -> set[str]:
    """Every upload that the request or its answers name."""
    found = ids_in(ask.data)
    for answer in answers:
        found |= ids_in(answer.body)
        found |= ids_in(b" ".join(value for _, value in answer.headers))
    return found
