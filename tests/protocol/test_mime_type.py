"""`mime_type`: whatever is accepted can be served, and no value costs the server its time."""

import contextlib
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from .conftest import CHUNKS, DATA, Begin, Put, refused

URL = "/api/v1/uploads/handshake"
LONGEST = 255
MANY = "text/plain" + ";a=b" * 61
assert len(MANY) < LONGEST

#: Prints for each argument whether it is a media type. A regular expression that goes on for years
#: keeps all threads of its process waiting, so it gets a process of its own.
PROGRAM = """
import sys
from uploads.protocols import fields
for value in sys.argv[1:]:
    try:
        print(fields.mime_type({"mime_type": value}) == value)
    except fields.InvalidRequest:
        print("refused")
"""


def test_p10_no_value_keeps_the_server_busy() -> None:
    hard = [
        MANY,
        MANY + "\u00e9",
        MANY + " ;",
        "a" * LONGEST,
        "a/" + "a" * (LONGEST - 2),
        "a/b" + " " * (LONGEST - 3),
        "a/b" + " ;" * 126,
        "a/b" + ";=" * 126,
        "a/b" + ";a" * 126,
        "a/b;" + "a=" * 125,
        "a/b;a=" + "\t" * (LONGEST - 6),
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *hard],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers = dict(zip(hard, done.stdout.splitlines(), strict=True))
    good = {MANY, "a/" + "a" * (LONGEST - 2)}
    assert answers == {value: "True" if value in good else "refused" for value in hard}


@pytest.mark.parametrize(
    "value",
    [
        "text/plain\r\nX-Evil: 1",
        "text/plain\n",
        "text/plain;a=b\r",
        "text/plain;\ra=b",
        "text/plain;a=\nb",
        "text/plain;a=b" + "c" * LONGEST,
        "text/plain;a=\x00",
        "text/pl\u00e4in",
        "/",
        "text/",
        "text/plain;",
        "text/plain;a",
        "text/plain;charset=",
    ],
)
def test_a_value_that_is_no_media_type_is_refused(alice_client: Client, value: str) -> None:
    fields = {"filename": "f", "size": 10, "mime_type": value}
    response = alice_client.post(URL, fields, "application/json")
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == "mime_type"


@pytest.mark.parametrize(
    "value",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "text/plain;charset=rot13",
        "application/vnd.oasis.opendocument.text",
        "image/x-tides; a=b \t;\tc=d",
        "!#$%&'*+.^_`|~-/x;charset*=bogus''x",
        MANY,
        "a/" + "a" * (LONGEST - 2),
    ],
)
def test_what_is_accepted_is_served_with_all_its_parameters(
    alice_client: Client, begin: Begin, put: Put, value: str
) -> None:
    session = begin(mime_type=value)
    for index, chunk in enumerate(CHUNKS):
        assert put(session, index, chunk).status_code == 200
    answer: Any = alice_client.get(session["urls"]["content"])
    assert b"".join(answer.streaming_content) == DATA
    assert answer["Content-Type"] == value
    assert answer["Content-Disposition"].startswith("attachment")
    with contextlib.closing(alice_client.head(session["urls"]["content"])) as head:
        assert (head.status_code, head["Content-Type"]) == (200, value)
