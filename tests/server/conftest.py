"""One real server for each file of tests."""

from collections.abc import Iterator

import pytest

from tests.support.client import NativeClient
from tests.support.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return server.issue_token()


@pytest.fixture
def client(server: Server, token: str) -> Iterator[NativeClient]:
    client = NativeClient(server.url, token)
    yield client
    client.close()
