"""docs/openapi.yaml against the real server: no answer that it doesn't describe, and no 500 (P10).

schemathesis makes requests of what the document says, right ones and wrong ones. Three of four are
then led to uploads that are there, in a state of each kind, with bytes that fit: made up alone,
hardly one would get further than to 404.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from schemathesis.transport.serialization import Binary

from tests.support.bodies import SMALL_CHUNK, cut, payload, sha256
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.waiting import wait_until
from uploads.web.api_page import DOCUMENT

pytestmark = pytest.mark.server

Case = schemathesis.Case[Any]

#: What the server and Django put on every answer, or on every page.
ON_EVERY_ANSWER = {
    "cache-control",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "cross-origin-opener-policy",
    "date",
    "expires",
    "referrer-policy",
    "server",
    "vary",
    "x-content-type-options",
    "x-frame-options",
}


def no_header_is_left_out(context: object, response: schemathesis.Response, case: Case) -> None:
    """The contrary of what `response_headers_conformance` looks for."""
    described = case.operation.responses.find_by_status_code(response.status_code)
    if described is not None:
        names = {name.lower() for name, _ in described.headers.items()}
        assert set(response.headers) <= names | ON_EVERY_ANSWER


CHECKS = [
    no_header_is_left_out,
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.ignored_auth,
]
#: A request to complete may wait 30 s for the verifier.
PATIENCE = 120.0
#: Random requests for each operation, besides those that schemathesis derives one by one.
EXAMPLES = 30

for media_type in ("application/octet-stream", "application/offset+octet-stream"):
    schemathesis.openapi.media_type(media_type, st.binary(max_size=100))
schema = schemathesis.openapi.from_path(
    DOCUMENT,
    config=schemathesis.Config.from_dict(
        {
            "generation": {
                "max-examples": EXAMPLES,
                "deterministic": True,
                "database": "none",
                # Who asks is decided here; `ignored_auth` asks as nobody.
                "with-security-parameters": False,
            }
        }
    ),
)


@dataclass(frozen=True)
class Uploads:
    """Uploads of two chunks and a bit, in each state that requests can bring about."""

    data: bytes
    ids: dict[str, str]

    @property
    def chunks(self) -> list[bytes]:
        return cut(self.data, SMALL_CHUNK)


def prepared(client: NativeClient, seed: int) -> Uploads:
    """`endless` is of unknown size, `failed` was declared to be another file."""
    data = payload(2 * SMALL_CHUNK + 1000, seed)
    ids = {}
    sent = {"begun": [], "half": [0], "whole": [0, 1, 2], "completed": [0, 1, 2], "cancelled": []}
    for state, missing in sent.items():
        key = f"{seed} {state}"
        session = client.begin(data, sha256=None, resume_key=key, chunk_size=SMALL_CHUNK)
        client.send_missing(data, {**session, "missing": missing})
        ids[state] = session["id"]
    client.delete(ids["cancelled"]).raise_for_status()
    other = client.begin(data, sha256=sha256(str(seed).encode()), chunk_size=SMALL_CHUNK)
    client.send_missing(data, other)
    ids["failed"] = other["id"]
    client.complete(ids["completed"]).raise_for_status()
    for state in ("completed", "failed"):
        wait_until(lambda: client.status(ids[state]).json()["state"] == state, f"it to be {state}")  # noqa: B023
    form = {"file": ("file.bin", data[:SMALL_CHUNK])}
    begun = client.request("POST", "/api/chunked-upload/", files=form).json()
    return Uploads(data, {**ids, "endless": str(UUID(begun["upload_id"]))})


@pytest.fixture(scope="module")
def uploads_to_read(server: Server, token: str) -> Uploads:
    client = NativeClient(server.url, token)
    made = prepared(client, 0)
    client.close()
    return made


@pytest.fixture
def uploads(
    client: NativeClient, request: pytest.FixtureRequest, uploads_to_read: Uploads
) -> Uploads:
    """Where the operation may change them, its own."""
    _, _, operation = request.node.name.partition("[")
    if operation.startswith(("GET ", "HEAD ")):
        return uploads_to_read
    return prepared(client, zlib.crc32(operation.encode()))


@pytest.fixture
def statuses() -> Iterator[set[int]]:
    """Of the answers. There must have been one that is no refusal, or the test proves little."""
    seen: set[int] = set()
    yield seen
    assert any(status < 400 for status in seen), seen


# ------------------------------------------------------------------ what fits an upload there is


def fit_chunk(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    case.path_parameters["index"] = index
    case.body = uploads.chunks[index]


def fit_chunk_form(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    case.path_parameters["index"] = index
    case.body = {"chunk": Binary(uploads.chunks[index]), "sha256": sha256(uploads.chunks[index])}


def fit_part(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    case.path_parameters["number"] = index + 1
    case.body = uploads.chunks[index]


def fit_stream(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    start = SMALL_CHUNK if upload_id == uploads.ids["half"] else 0
    case.headers["Upload-Offset"] = str(start)
    case.body = uploads.data[start : start + 1000]


def fit_json_chunk(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    chunk = uploads.chunks[index]
    case.body = {
        "upload_id": upload_id,
        "chunk_index": index,
        "chunk_data": base64.b64encode(chunk).decode(),
        "checksum": sha256(chunk),
    }


def fit_reference(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    case.body = {"upload_id": upload_id}


def fit_form(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    if index:
        start = SMALL_CHUNK if upload_id == uploads.ids["half"] else 0
        case.body = {
            "file": Binary(uploads.data[start : start + 1000]),
            "filename": "file.bin",
            "offset": start,
            "upload_id": upload_id.replace("-", ""),
        }


def fit_size(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    case.body = {"size": len(uploads.data)}


def fit_range(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    case.headers.update([{"Range": "bytes=5-9"}, {"If-None-Match": "*"}, {}][index])


def fit_md5(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    md5 = hashlib.md5(uploads.data).hexdigest()
    case.body = {"upload_id": upload_id.replace("-", ""), "md5": md5}


def fit_creation(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    made_up = {name: case.headers.pop(name, None) for name in list(case.headers)}
    case.headers.update({"Tus-Resumable": "1.0.0", "Upload-Length": "1000"})
    if index == 1 and made_up.get("Upload-Metadata"):
        case.headers["Upload-Metadata"] = made_up["Upload-Metadata"]
    if index == 2:
        case.headers["Upload-Concat"] = f"final;/files/{upload_id}"
    else:
        case.body = uploads.data[:500]


def fit_patch(case: Case, uploads: Uploads, upload_id: str, index: int) -> None:
    fit_stream(case, uploads, upload_id, index)
    case.headers["Tus-Resumable"] = "1.0.0"
    case.headers.pop("Upload-Length", None)
    if index:
        case.headers.pop("Upload-Checksum", None)


#: By operation; where only the id has to fit, it is none of these.
FIT: dict[str, Callable[[Case, Uploads, str, int], None]] = {
    "declareSize": fit_size,
    "getContent": fit_range,
    "putChunk": fit_chunk,
    "postChunk": fit_chunk_form,
    "putPart": fit_part,
    "appendToUpload": fit_stream,
    "createTusUpload": fit_creation,
    "patchTusUpload": fit_patch,
    "sendJsonChunk": fit_json_chunk,
    "completeJsonUpload": fit_reference,
    "cancelJsonUpload": fit_reference,
    "chunkedUpload": fit_form,
    "completeChunkedUpload": fit_md5,
}


def aim(case: Case, uploads: Uploads) -> None:
    """Lead three requests of four to an upload that is there; which, is the same in each run."""
    made_of = (case.path_parameters, case.query, case.headers, case.body)
    choice = zlib.crc32(repr(made_of).encode(errors="replace"))
    if choice % 4 == 0:
        return
    upload_id = list(uploads.ids.values())[choice // 4 % len(uploads.ids)]
    if "id" in case.path_parameters:
        case.path_parameters["id"] = upload_id
    if choice // 8 % 2:
        # Made up, it hardly ever fits.
        case.headers.pop("Content-Range", None)
    fit = FIT.get(case.operation.definition.raw["operationId"])
    if fit:
        fit(case, uploads, upload_id, choice // 32 % 3)


@schema.parametrize()
def test_p10_every_answer_is_one_that_the_document_describes(
    case: Case, server: Server, token: str, uploads: Uploads, statuses: set[int]
) -> None:
    aim(case, uploads)
    headers = {"Authorization": f"Bearer {token}"}
    response = case.call_and_validate(server.url, headers=headers, checks=CHECKS, timeout=PATIENCE)
    statuses.add(response.status_code)
