"""Take a large text over into a topic collection; print the growth of the server's memory.

    python benchmarks/form_takeover.py --size 500

A server of its own is started on a scratch folder in memory (`--folder` names another). A text is
uploaded through the collection's own addresses; measured is the request that saves the form: the
text is decoded, the old one backed up, and replaced. Once the old text is small, then it is as
large as the new. Beside it stands what the database driver alone needs for such a value: a process
that has the text and does nothing but the UPDATE. Memory is what the kernel calls RssAnon: what the
processes hold themselves, without the pages of files that the kernel caches.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# So that it also runs as a file, not only as a module.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import requests

from benchmarks.large_file import MIB, Watch
from tests.support.server import USER, Server

PIECE = 5 * MIB
LINES = b"".join(b"https://example.org/collections/%08d\n" % number for number in range(50_000))
TIMEOUT = 600

#: A collection of the first account, and a session of hers.
_SET_UP = """
from django.contrib.auth.models import User
from django.test import Client
from examples.topic_collections.models import TopicCollection
user = User.objects.get(username={user!r})
collection = TopicCollection.objects.create(title="Large", curator=user)
client = Client()
client.force_login(user)
print(collection.pk, client.cookies["sessionid"].value)
"""

#: The driver alone, in a process of its own, with a value of its own making.
_DRIVER = """
import json, os
from django.db import connection
from benchmarks.large_file import Watch
sql = "UPDATE topic_collections_topiccollection SET custom_seeds = %s WHERE id = {pk}"
with connection.cursor() as cursor:
    cursor.execute(sql, ["warm up"])
    watch = Watch(os.getpid(), interval=0.01)
    with watch.sampling():
        text = "x" * {size}
        cursor.execute(sql, [text])
print(json.dumps([watch.start_kib, watch.peak_kib]))
"""


@dataclass(frozen=True)
class Growth:
    """Of a process, in MiB."""

    start: float
    peak: float

    @property
    def mib(self) -> float:
        return self.peak - self.start


def text_pieces(size: int) -> Iterator[bytes]:
    """Lines of seeds, `size` bytes together."""
    for start in range(0, size, PIECE):
        length = min(PIECE, size - start)
        yield (LINES * (length // len(LINES) + 1))[:length]


class Curator:
    """A browser that edits one collection."""

    def __init__(self, server: Server) -> None:
        pk, cookie = server.manage("shell", "--no-imports", "-c", _SET_UP.format(user=USER)).split()
        self.pk = int(pk)
        self._page = f"{server.url}/collections/internal/{pk}/"
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.cookies.set("sessionid", cookie)

    def upload(self, size: int) -> str:
        """A text of so many bytes; the id of its upload."""
        digest = hashlib.md5(usedforsecurity=False)
        fields: dict[str, str] = {}
        offset = 0
        for piece in text_pieces(size):
            digest.update(piece)
            given = {**fields, "offset": str(offset)}
            file = {"file": ("seeds.txt", piece, "text/plain")}
            answer = self._post("custom-seeds/chunk-upload", given, file).json()
            fields, offset = {"upload_id": answer["upload_id"]}, answer["offset"]
        self._post("custom-seeds/complete", {**fields, "md5": digest.hexdigest()})
        return str(fields["upload_id"])

    def save(self, upload_id: str) -> None:
        """The form, with nothing but the title and the id of the upload."""
        answer = self._post("", {"title": "Large", "custom_seeds_upload_id": upload_id})
        assert answer.history, "the form was shown again"

    def _post(
        self,
        path: str,
        fields: dict[str, str],
        files: dict[str, tuple[str, bytes, str]] | None = None,
    ) -> requests.Response:
        headers = {"X-CSRFToken": self._token()}
        answer = self._http.post(
            self._page + path, fields, files=files, headers=headers, timeout=TIMEOUT
        )
        answer.raise_for_status()
        return answer

    def _token(self) -> str:
        if "csrftoken" not in self._http.cookies:
            self._http.get(self._page, timeout=TIMEOUT).raise_for_status()
        return str(self._http.cookies["csrftoken"])


def take_over(server: Server, curator: Curator, size: int) -> tuple[Growth, float]:
    """Memory of the server, and seconds, while a form with such an upload is saved."""
    upload_id = curator.upload(size)
    watch = Watch(server.pid, interval=0.01)
    begun = time.perf_counter()
    with watch.sampling():
        curator.save(upload_id)
    return Growth(watch.start_kib / 1024, watch.peak_kib / 1024), time.perf_counter() - begun


def driver_alone(server: Server, pk: int, size: int) -> Growth:
    code = _DRIVER.format(pk=pk, size=size)
    start, peak = json.loads(server.manage("shell", "--no-imports", "-c", code))
    return Growth(start / 1024, peak / 1024)


def measure(server: Server, size: int) -> None:
    curator = Curator(server)
    # Imports and connections warm up, and the text is small again.
    take_over(server, curator, MIB)
    small, small_seconds = take_over(server, curator, size)
    large, large_seconds = take_over(server, curator, size)
    driver = driver_alone(server, curator.pk, size)
    print(f"text                     {size / MIB:,.0f} MiB")
    for name, growth, seconds in (
        ("over a small text", small, small_seconds),
        ("over one as large", large, large_seconds),
    ):
        print(
            f"{name}        grew by {growth.mib:,.0f} MiB from {growth.start:,.0f}, "
            f"{growth.mib * MIB / size:.2f} times the text, in {seconds:.1f} s"
        )
    print(f"the driver alone         {driver.mib:,.0f} MiB, {driver.mib * MIB / size:.2f} times")
    print(f"server / driver          {max(small.mib, large.mib) / driver.mib:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=500, help="MiB of the text (500, the most)")
    parser.add_argument("--folder", default="/dev/shm", help="where the scratch folder is (memory)")
    options = parser.parse_args()
    tempfile.tempdir = options.folder
    with Server() as server:
        measure(server, options.size * MIB)


if __name__ == "__main__":
    main()
