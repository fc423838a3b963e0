"""Print, as JSON, how many statements a chunk request makes: by a token and by a signed-in browser.

    python -m benchmarks.comparison.statements [--show]

In this process, through the whole site and without the network, on a scratch database. BEGIN and
COMMIT are not counted: they are what a statement runs in. `--show` prints the statements instead.
"""

import atexit
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DATA = tempfile.mkdtemp(prefix="holdfast-statements-")
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)
os.environ["HOLDFAST_DATA"] = _DATA
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "site"))
import django

django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from uploads.core.plan import MIN_CHUNK_SIZE
from uploads.engine.tokens import issue_token

_UPLOADS = "/api/v1/uploads"
_CSRF = "c" * 32
#: Around statements, and not one.
_TRANSACTION = re.compile(r"BEGIN|COMMIT|ROLLBACK", re.IGNORECASE)


def statements_of(client: Client, headers: dict[str, str]) -> list[str]:
    """Of the third chunk of a file of five, after the first two."""
    size = 5 * MIN_CHUNK_SIZE
    wanted = {"filename": "counted.bin", "size": size, "chunk_size": MIN_CHUNK_SIZE}
    begun = client.post(f"{_UPLOADS}/handshake", wanted, "application/json", headers=headers)
    session_id = begun.json()["id"]
    for index in range(2):
        _send(client, session_id, index, headers)
    texts: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *given: Any) -> Any:
        texts.append(sql)
        return execute(sql, *given)

    # The log of the connection itself ends whenever the request lets go of its connection.
    with connection.execute_wrapper(note):
        _send(client, session_id, 2, headers)
    client.delete(f"{_UPLOADS}/{session_id}", headers=headers)
    return [text for text in texts if not _TRANSACTION.match(text)]


def _send(client: Client, session_id: str, index: int, headers: dict[str, str]) -> None:
    chunk = os.urandom(MIN_CHUNK_SIZE)
    path = f"{_UPLOADS}/{session_id}/chunks/{index}"
    answer = client.put(path, chunk, "application/octet-stream", headers=headers)
    assert answer.status_code == 200, answer.content


def main() -> None:
    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", interactive=False, verbosity=0)
    user = User.objects.create_user("counted")
    token = issue_token(user, "comparison")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    browser.cookies["csrftoken"] = _CSRF
    seen = {
        "token": statements_of(Client(), {"Authorization": f"Bearer {token}"}),
        "cookie": statements_of(browser, {"X-CSRFToken": _CSRF}),
    }
    if "--show" in sys.argv:
        for way, texts in seen.items():
            print(way, *texts, sep="\n  ")
        return
    print(json.dumps({way: len(texts) for way, texts in seen.items()}))


if __name__ == "__main__":
    main()
