"""What a request costs: statements are counted, so that none comes in unnoticed."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.bodies import SMALL_CHUNK, cut, payload
from uploads.engine.tokens import issue_token

pytestmark = pytest.mark.django_db(transaction=True)

#: Of a chunk: its session before the body comes; the session with the chunk's row, under the lock;
#: and BEGIN, the session's row, the chunk's, the bitmap, COMMIT.
CHUNK = 7
#: The token and its owner; the browser session and its user.
BY_TOKEN, BY_COOKIE = 2, 2


@pytest.mark.parametrize(("sign_in", "costs"), [("token", BY_TOKEN), ("cookie", BY_COOKIE)])
def test_a_chunk_takes_few_statements_whoever_sends_it(
    alice: User, alice_client: Client, sign_in: str, costs: int
) -> None:
    script = Client(headers={"Authorization": f"Bearer {issue_token(alice, 'script')}"})
    client = alice_client if sign_in == "cookie" else script
    data = payload(3 * SMALL_CHUNK)
    session = client.post(
        "/api/v1/uploads/handshake",
        {"filename": "a.bin", "size": len(data), "chunk_size": SMALL_CHUNK},
        content_type="application/json",
    ).json()
    for index, chunk in list(enumerate(cut(data, SMALL_CHUNK)))[:2]:
        with CaptureQueriesContext(connection) as statements:
            answer = client.put(f"{session['urls']['self']}/chunks/{index}", chunk)
        assert answer.status_code == 200
        assert len(statements) == costs + CHUNK
