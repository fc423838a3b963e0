"""A file of 1 GiB in Chromium: chosen on the dashboard, and hashed by that page's worker alone."""

import time
from functools import partial
from pathlib import Path
from statistics import median

from e2e.browser_install import chromium
from e2e.support import make_people
from tests.support.client import NativeClient
from tests.support.server import Server

from . import room
from .devtools import Page, chromium_page
from .figures import GIB
from .payload import Payload
from .rounds import alternating
from .verdicts import NotHere, Row, at_most, measured

WHAT = "a 1 GiB file in Chromium, choosing to verified"
MOST = 1.2
_TIMEOUT = 300.0
#: Seconds between two questions; a person's list asks less often.
_POLL = 0.05

#: The file of the input `#alone`, hashed by a worker of its own that nobody else asks anything. Its
#: start is not timed, as the page's own has started before a file is chosen.
_HASH_ALONE = """(async () => {
  const worker = new Worker(document.body.dataset.workerUrl, { type: "module" });
  const hashed = (blob) => new Promise((resolve, reject) => {
    worker.onerror = reject;
    worker.onmessage = ({ data }) => {
      if (data.type === "done") resolve(data.digest);
      else if (data.type === "error") reject(new Error(data.message));
    };
    worker.postMessage({ type: "hash", id: 1, blob, algorithm: "sha256", encoding: "hex" });
  });
  await hashed(new Blob(["warm"]));
  const [file] = document.querySelector("#alone").files;
  const begun = performance.now();
  const digest = await hashed(file);
  const seconds = (performance.now() - begun) / 1000;
  worker.terminate();
  return { digest, seconds };
})()"""
_ADD_INPUT = """{
  const input = document.createElement("input");
  Object.assign(input, { type: "file", id: "alone" });
  document.body.append(input);
}"""


def in_chromium(folder: Path, rounds: int) -> Row:
    """Seconds from the choice until the server says `completed`, by those of the hash alone."""
    bound = at_most("choosing to verified : hash alone", 0, MOST)

    def work() -> Row:
        room.require(2 * GIB, WHAT)
        with Server(workers=None) as server:
            [person] = make_people(server, 1)
            client = NativeClient(server.url, person.token)
            with chromium_page(_path()) as page:
                page.sign_in(server.url, person.cookie)
                ours, alone = _measured(client, page, folder, rounds)
        note = f"{median(ours):.2f} s, hashing alone {median(alone):.2f} s"
        return Row(WHAT, (at_most(bound.label, median(ours) / median(alone), MOST),), note)

    return measured(WHAT, [bound], work)


def _path() -> str:
    try:
        return chromium()
    except LookupError as reason:
        raise NotHere(str(reason)) from reason


def _measured(
    client: NativeClient, page: Page, folder: Path, rounds: int
) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    alone: list[float] = []
    for number in range(rounds):
        payload = Payload(GIB)
        path = payload.write_to(folder / payload.name)
        turns = (
            (ours, partial(_uploaded, client, page, path)),
            (alone, partial(_hashed_alone, client.url, page, path, payload)),
        )
        for seen, turn in alternating(turns, number):
            seen.append(turn())
        path.unlink()
    return ours, alone


def _uploaded(client: NativeClient, page: Page, path: Path) -> float:
    page.open(f"{client.url}/")
    begun = time.perf_counter()
    page.choose("#choose-files", path)
    session_id = _completed(client, path.name)
    seconds = time.perf_counter() - begun
    client.delete(session_id).raise_for_status()
    return seconds


def _completed(client: NativeClient, filename: str) -> str:
    """The id of the upload of that name, once it is complete."""
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        answer = client.request("GET", "/api/v1/uploads")
        answer.raise_for_status()
        for session in answer.json()["results"]:
            if session["filename"] == filename and session["state"] == "completed":
                return str(session["id"])
        time.sleep(_POLL)
    raise TimeoutError(f"{filename} was not complete within {_TIMEOUT:.0f} s")


def _hashed_alone(url: str, page: Page, path: Path, payload: Payload) -> float:
    page.open(f"{url}/")
    page.evaluate(_ADD_INPUT)
    page.choose("#alone", path)
    found = page.evaluate(_HASH_ALONE)
    assert found["digest"] == payload.sha256
    return float(found["seconds"])
