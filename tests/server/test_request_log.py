"""B8: what the log of a real server says of a whole upload, and what it never says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from blake3 import blake3

from tests.support.bodies import SMALL_CHUNK, content_digest, cut, flipped, payload, sha256
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.waiting import wait_until
from uploads.engine.tokens import PREFIX

pytestmark = pytest.mark.server

#: Text, so that it would be found in the log as it is.
DATA = b"Holdfast keeps secrets. " * (2 * SMALL_CHUNK // 24) + payload(1000, seed=1)
SHA256 = sha256(DATA)
CHUNKS = cut(DATA, SMALL_CHUNK)


def lines_of(server: Server) -> list[dict[str, Any]]:
    """The lines of requests, each of which stands under its own id."""
    line = r"^\S+ \S+ INFO uploads\.requests \[(\S+)\]: (\{.*\})$"
    found = re.findall(line, server.log, re.MULTILINE)
    lines = [json.loads(text) for _, text in found]
    assert [line["request_id"] for line in lines] == [request_id for request_id, _ in found]
    return lines


@pytest.fixture(scope="module")
def answers(server: Server, token: str) -> Iterator[list[requests.Response]]:
    """Of a whole upload, with a bad chunk in it, from the handshake to the deletion."""
    client = NativeClient(server.url, token)
    secrets = {"folder": "a-secret-folder", "resume_key": "a-secret-key", "sha256": SHA256}
    begun = client.handshake("a-secret-name.txt", len(DATA), chunk_size=SMALL_CHUNK, **secrets)
    session_id = begun.json()["id"]
    damaged = client.request(
        "PUT",
        f"/api/v1/uploads/{session_id}/chunks/0?name=a-secret-query",
        data=flipped(CHUNKS[0]),
        headers={"Content-Digest": content_digest(CHUNKS[0]), "X-Request-ID": "of-the-client"},
    )
    sent = [client.put_chunk(session_id, index, chunk) for index, chunk in enumerate(CHUNKS)]
    wait_until(lambda: client.status(session_id).json()["state"] == "completed", "completion")
    completed = client.complete(session_id, SHA256)
    assert client.content(session_id).content == DATA
    answers = [begun, damaged, *sent, completed, client.delete(session_id)]
    wait_until(lambda: len(lines_of(server)) >= len(answers), "all lines")
    yield answers
    client.close()


def test_each_request_of_an_upload_has_its_line(
    server: Server, answers: list[requests.Response]
) -> None:
    lines = lines_of(server)
    told = [(line["route"], line.get("index"), line["status"], line["code"]) for line in lines]
    assert told == [
        ("handshake", None, 201, None),
        ("chunk", 0, 422, "digest_mismatch"),
        *(("chunk", index, 200, None) for index in range(len(CHUNKS))),
        ("complete", None, 200, None),
        ("session", None, 204, None),
    ]
    assert {line["session"] for line in lines} == {answers[0].json()["id"]}
    assert len({line["user"] for line in lines} - {None}) == 1
    lengths = [answer.request.headers.get("Content-Length") for answer in answers]
    assert [line["bytes_in"] or 0 for line in lines] == [int(length or 0) for length in lengths]


def test_the_id_answered_leads_to_the_line(
    server: Server, answers: list[requests.Response]
) -> None:
    answered = [answer.headers["X-Request-ID"] for answer in answers]
    assert [line["request_id"] for line in lines_of(server)] == answered
    assert answered[1] == "of-the-client"
    assert len(set(answered)) == len(answers)


@pytest.mark.usefixtures("answers")
def test_no_name_token_hash_or_content_is_in_the_log(server: Server, token: str) -> None:
    """Whatever wrote it, a query of the client's making included."""
    secrets = ["a-secret", token.removeprefix(PREFIX), SHA256, "keeps secrets"]
    secrets += [content_digest(data).split(":")[1] for data in [DATA, *CHUNKS]]
    secrets += [blake3(data).hexdigest() for data in [DATA, *CHUNKS]]
    assert [secret for secret in secrets if secret in server.log] == []
