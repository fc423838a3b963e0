"""A7: an upload of 15 MiB that is interrupted after its first of three chunks."""

from typing import Any

from django.contrib.auth.models import User
from django.test import TestCase

from tests.support.bodies import content_digest, cut, sha256
from tests.support.signatures import content_for
from uploads.core.plan import MIB

CHUNK = 5 * MIB
DATA = content_for("film.mp4", 15 * MIB)
CHUNKS = cut(DATA, CHUNK)


class InterruptedUploadTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(User.objects.create_user("alice"))
        self.session = self.handshake()

    def handshake(self) -> dict[str, Any]:
        response = self.client.post(
            "/api/v1/uploads/handshake",
            {"filename": "film.mp4", "size": len(DATA), "sha256": sha256(DATA)},
            content_type="application/json",
        )
        body: dict[str, Any] = response.json()
        return body

    def put(self, index: int, body: bytes, **headers: str) -> Any:
        path = self.session["urls"]["chunk"].replace("{index}", str(index))
        # The verifier is enqueued on commit, which a TestCase holds back.
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.put(path, body, "application/octet-stream", headers=headers)

    def status(self) -> dict[str, Any]:
        body: dict[str, Any] = self.client.get(self.session["urls"]["self"]).json()
        return body

    def content(self) -> bytes:
        response = self.client.get(self.session["urls"]["content"])
        assert response.status_code == 200
        return b"".join(response.streaming_content)  # type: ignore[attr-defined]

    def test_the_handshake_names_the_second_and_third_chunk_as_missing(self) -> None:
        assert self.session["missing"] == [0, 1, 2]
        assert self.put(0, CHUNKS[0]).status_code == 200
        resumed = self.handshake()
        assert resumed["status"] == "resumed"
        assert resumed["id"] == self.session["id"]
        assert resumed["missing"] == [1, 2]

    def test_the_resumed_file_is_byte_identical(self) -> None:
        self.put(0, CHUNKS[0])
        for index in self.handshake()["missing"]:
            assert self.put(index, CHUNKS[index]).status_code == 200
        assert self.status()["state"] == "completed"
        assert self.content() == DATA
        again = self.handshake()
        assert (again["status"], again["missing"]) == ("file_exists", [])

    def test_a_wrong_chunk_size_leaves_the_session_sound(self) -> None:
        self.put(0, CHUNKS[0])
        for wrong in (CHUNKS[1][:-1], CHUNKS[1] + b"x", CHUNKS[1][: CHUNK // 2]):
            response = self.put(1, wrong)
            assert response.status_code == 400
            assert response.json()["code"] == "length_mismatch"
        assert self.handshake()["missing"] == [1, 2]
        self.put(1, CHUNKS[1])
        self.put(2, CHUNKS[2])
        assert self.content() == DATA

    def test_out_of_order_chunks_leave_the_session_sound(self) -> None:
        assert self.put(2, CHUNKS[2]).status_code == 200
        assert self.handshake()["missing"] == [0, 1]
        assert self.put(0, CHUNKS[0]).status_code == 200
        assert self.put(1, CHUNKS[1]).status_code == 200
        assert self.content() == DATA

    def test_chunks_in_each_other_s_place_are_refused_by_their_digest(self) -> None:
        """B10, P2: the sizes agree, so only the digest can tell."""
        response = self.put(1, CHUNKS[2], **{"Content-Digest": content_digest(CHUNKS[1])})
        assert response.status_code == 422
        assert self.handshake()["missing"] == [0, 1, 2]
        for index, chunk in enumerate(CHUNKS):
            self.put(index, chunk, **{"Content-Digest": content_digest(chunk)})
        assert self.content() == DATA
