"""A topic collection, its curator's browser, and the way a file takes to it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from examples.topic_collections.models import TopicCollection
from uploads.models import FileSession

Answer = Any
Send = Callable[..., str]

OLD = "https://old.example/1\nhttps://old.example/2\n"
NEW = "https://new.example/1\nhttps://new.example/ä\n"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def edit_url(collection: TopicCollection) -> str:
    return f"/collections/internal/{collection.pk}/"


def upload_url(collection: TopicCollection) -> str:
    return f"{edit_url(collection)}custom-seeds/chunk-upload"


def complete_url(collection: TopicCollection) -> str:
    return f"{edit_url(collection)}custom-seeds/complete"


def send_piece(
    client: Client,
    url: str,
    data: bytes,
    *,
    name: str = "seeds.txt",
    kind: str = "text/plain",
    **given: Any,
) -> Answer:
    """One form of the protocol, with its place as a `Content-Range` if `content_range` is given."""
    content_range = given.pop("content_range", "")
    headers = {"Content-Range": content_range} if content_range else {}
    file = SimpleUploadedFile(name, data, kind)
    return client.post(url, {"file": file, "filename": name, **given}, headers=headers)


def save(client: Client, collection: TopicCollection, upload_id: str = "", **fields: Any) -> Answer:
    """Submit the form of the edit page, as a browser does that has JavaScript."""
    given = {"title": "A topic", "custom_seeds_upload_id": upload_id, **fields}
    return client.post(edit_url(collection), given)


def errors_of(answer: Answer, field: str | None = "custom_seeds_upload_id") -> list[str]:
    """Of a form that is shown again."""
    assert answer.status_code == 200
    found = answer.context["form"].errors.get(field or "__all__", [])
    return [str(error) for error in found]


def backups(folder: Path) -> list[str]:
    """What the files in the folder of backups hold."""
    return [path.read_text() for path in folder.iterdir()] if folder.exists() else []


def exists(upload_id: str) -> bool:
    return FileSession.objects.filter(pk=upload_id).exists()


@pytest.fixture(autouse=True)
def real_commits(transactional_db: None) -> None:
    """What is consumed goes when the transaction has committed."""


@pytest.fixture
def backup_folder(settings: Settings, tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    settings.TOPIC_COLLECTIONS_BACKUPS = folder
    return folder


@pytest.fixture
def collection(alice: User, backup_folder: Path) -> TopicCollection:
    return TopicCollection.objects.create(title="Kelp", curator=alice, custom_seeds=OLD)


@pytest.fixture
def send(alice_client: Client, collection: TopicCollection) -> Send:
    """A complete upload into the collection's form; its id."""

    def upload(
        data: bytes | str = NEW,
        client: Client = alice_client,
        to: TopicCollection = collection,
        **given: Any,
    ) -> str:
        content = data.encode() if isinstance(data, str) else data
        answer = send_piece(client, upload_url(to), content, **given)
        assert answer.status_code == 200, answer.json()
        upload_id: str = answer.json()["upload_id"]
        fields = {"upload_id": upload_id, "md5": md5(content)}
        answer = client.post(complete_url(to), fields)
        assert answer.status_code == 200, answer.json()
        return upload_id

    return upload
