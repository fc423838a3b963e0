"""A Chromium that is told what to do over its DevTools pipe, and not watched while it does it.

Playwright has the browser report every request, which for uploads costs as much as the sending.
Source: the Chrome DevTools Protocol; with `--remote-debugging-pipe`, the browser reads messages of
JSON, each ended by a zero byte, from descriptor 3, and writes its own to descriptor 4.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from e2e.support import CHROMIUM_ARGUMENTS
from tests.support.waiting import wait_until

#: Runs a command with two descriptors of ours as its 3 and 4.
_WITH_PIPES = 'exec "$@" 3<&{commands} 4>&{answers}'
_STOP_SECONDS = 10


class Page:
    """One tab."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._sent = 0
        self._rest = b""
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str | None = attached["sessionId"]

    def sign_in(self, url: str, cookie: str) -> None:
        """With the key of a session that has begun already."""
        self.tell("Network.setCookie", name="sessionid", value=cookie, url=url, httpOnly=True)

    def open(self, url: str) -> None:
        """Until it has loaded. Raises TimeoutError."""
        self.tell("Page.navigate", url=url)
        loaded = f"document.readyState === 'complete' && location.href === {json.dumps(url)}"
        wait_until(lambda: self.evaluate(loaded), what=f"{url} to be open")

    def evaluate(self, expression: str) -> Any:
        """Its value, or what it promises. Raises RuntimeError."""
        return self._evaluated(expression, returnByValue=True).get("value")

    def choose(self, selector: str, path: Path) -> None:
        """A file, in the input that this finds."""
        found = self._evaluated(f"document.querySelector({json.dumps(selector)})")
        self.tell("DOM.setFileInputFiles", files=[str(path)], objectId=found["objectId"])

    def tell(self, method: str, /, **params: Any) -> dict[str, Any]:
        """The answer to a command. Raises RuntimeError when it is an error."""
        return self._ask(method, params, sessionId=self._session)

    def _evaluated(self, expression: str, **options: Any) -> dict[str, Any]:
        answer = self.tell("Runtime.evaluate", expression=expression, awaitPromise=True, **options)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"In the page: {answer['exceptionDetails']}")
        found: dict[str, Any] = answer["result"]
        return found

    def _ask(self, method: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params, **more}
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next_message()
            if answer.get("id") != self._sent:
                continue  # What happens in the browser, which nobody asked for.
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            result: dict[str, Any] = answer["result"]
            return result

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._answers.fileno(), 64 * 1024)
            if not part:
                raise RuntimeError("The browser has ended.")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@contextmanager
def chromium_page(chromium: str) -> Iterator[Page]:
    """The only tab of a browser that ends with the context. `chromium` is its path."""
    with ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-chromium-"))
        its_commands, commands = _pipe(stack)
        answers, its_answers = _pipe(stack)
        given = [*CHROMIUM_ARGUMENTS, "--headless", "--remote-debugging-pipe"]
        shell = _WITH_PIPES.format(commands=its_commands.fileno(), answers=its_answers.fileno())
        process = subprocess.Popen(
            ["sh", "-c", shell, "sh", chromium, *given, f"--user-data-dir={profile}"],
            pass_fds=(its_commands.fileno(), its_answers.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        its_commands.close()
        its_answers.close()
        stack.callback(_end, process, commands)
        yield Page(commands, answers)


def _pipe(stack: ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """Where it is read, and where written, without a buffer."""
    reader, writer = os.pipe()
    return (
        stack.enter_context(os.fdopen(reader, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writer, "wb", buffering=0)),
    )


def _end(process: subprocess.Popen[bytes], commands: BinaryIO) -> None:
    """A browser that nobody tells anything any more ends itself."""
    commands.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
