"""E1, E3, E5, E8: saving the form of a collection, with an upload and without one."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from examples.topic_collections import writing
from examples.topic_collections.models import Seed, TopicCollection
from tests.support.threads import at_once
from uploads.models import FileSession, StoredFile

from .conftest import (
    NEW,
    OLD,
    Send,
    backups,
    edit_url,
    errors_of,
    exists,
    save,
    send_piece,
    upload_url,
)


def text_of(collection: TopicCollection) -> str:
    return TopicCollection.objects.get(pk=collection.pk).custom_seeds


def messages_of(answer: Any) -> list[tuple[str, str]]:
    return [(m.level_tag, str(m)) for m in get_messages(answer.wsgi_request)]


def saved(answer: Any) -> bool:
    assert answer.status_code == 302, answer.context["form"].errors
    return True


def stored_seeds() -> set[str]:
    return set(Seed.objects.values_list("url", flat=True))


# ------------------------------------------------------------- with an upload


def test_e5_an_upload_replaces_the_text_and_the_old_one_is_in_a_dated_file(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    answer = save(alice_client, collection, send())
    assert saved(answer)
    assert text_of(collection) == NEW
    assert backups(backup_folder) == [OLD]
    [path] = backup_folder.iterdir()
    assert path.name.startswith(f"collection-{collection.pk}-20")
    assert (path.stat().st_mode & 0o777, backup_folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_e5_the_seeds_of_a_file_are_not_paired_and_the_curator_is_warned(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    answer = save(alice_client, collection, send())
    [(level, text)] = messages_of(answer)
    assert level == "warning"
    assert "not paired automatically" in text
    assert not stored_seeds()


def test_e5_the_other_fields_are_saved_with_it(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    assert saved(save(alice_client, collection, send(), title="Renamed"))
    assert TopicCollection.objects.get().title == "Renamed"


def test_e5_an_upload_takes_the_place_of_what_the_text_field_has(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    assert saved(save(alice_client, collection, send(), custom_seeds="not a url"))
    assert text_of(collection) == NEW


def test_e3_an_upload_is_used_once_and_its_data_goes(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    upload_id = send()
    assert saved(save(alice_client, collection, upload_id))
    assert not exists(upload_id)
    assert not StoredFile.objects.exists()
    [error] = errors_of(save(alice_client, collection, upload_id))
    assert "was used" in error
    assert backups(backup_folder) == [OLD]


def test_p9_another_users_upload_is_not_there(
    alice_client: Client,
    bob: User,
    bob_client: Client,
    collection: TopicCollection,
    send: Send,
) -> None:
    theirs = TopicCollection.objects.create(title="Bob's", curator=bob)
    upload_id = send(client=bob_client, to=theirs)
    assert errors_of(save(alice_client, collection, upload_id))
    assert text_of(collection) == OLD
    assert exists(upload_id)


def test_e3_an_upload_for_another_collection_is_not_taken(
    alice: User, alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    other = TopicCollection.objects.create(title="Other", curator=alice)
    upload_id = send(to=other)
    assert errors_of(save(alice_client, collection, upload_id))
    assert text_of(collection) == OLD
    assert saved(save(alice_client, other, upload_id))


def test_e3_an_unfinished_upload_is_not_taken(
    alice_client: Client, collection: TopicCollection
) -> None:
    answer = send_piece(alice_client, upload_url(collection), NEW.encode(), offset=0)
    [error] = errors_of(save(alice_client, collection, answer.json()["upload_id"]))
    assert "not arrived whole" in error
    assert text_of(collection) == OLD


@pytest.mark.parametrize("text", ["x", "0" * 32, "../1", "\0"])
def test_p10_what_is_no_id_is_an_error_of_the_form(
    alice_client: Client, collection: TopicCollection, text: str
) -> None:
    assert errors_of(save(alice_client, collection, text))


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"https://a.example\n\xff", 19),
        (b"\xc3", 1),
        (b"a" * (1024 * 1024 - 1) + b"\xc3" + b"\xc3\xa4", 1024 * 1024),
        ("ä\0".encode(), 3),
        ("a".encode("utf-16"), 1),
    ],
)
def test_e5_what_is_not_utf_8_is_an_error_that_keeps_text_and_upload(
    alice_client: Client,
    collection: TopicCollection,
    send: Send,
    backup_folder: Path,
    data: bytes,
    position: int,
) -> None:
    upload_id = send(data)
    answer = save(alice_client, collection, upload_id)
    [error] = errors_of(answer)
    assert f"byte {position} is none" in error
    assert text_of(collection) == OLD
    assert exists(upload_id)
    assert backups(backup_folder) == []


def test_e5_a_character_that_two_pieces_share_is_read(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    text = "a" * (1024 * 1024 - 1) + "ä" + "€"
    assert saved(save(alice_client, collection, send(text)))
    assert text_of(collection) == text


def test_the_mark_of_byte_order_is_no_part_of_the_text(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    assert saved(save(alice_client, collection, send(NEW.encode("utf-8-sig"))))
    assert text_of(collection) == NEW


def test_an_empty_file_empties_the_text(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    assert saved(save(alice_client, collection, send("")))
    assert text_of(collection) == ""
    assert backups(backup_folder) == [OLD]


def test_a_text_that_was_empty_needs_no_backup(
    alice: User, alice_client: Client, send: Send, backup_folder: Path
) -> None:
    empty = TopicCollection.objects.create(title="Empty", curator=alice)
    assert saved(save(alice_client, empty, send(to=empty)))
    assert backups(backup_folder) == []


def test_a_form_shown_again_keeps_its_upload(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    upload_id = send()
    answer = save(alice_client, collection, upload_id, title="")
    assert errors_of(answer, "title")
    page = answer.content.decode()
    session = FileSession.objects.get(pk=upload_id)
    assert f'name="custom_seeds_upload_id" value="{session.pk}"' in page
    assert "seeds.txt" in page
    assert saved(save(alice_client, collection, str(session.pk)))


def test_e5_a_disk_that_takes_no_backup_replaces_nothing(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    backup_folder.parent.mkdir(exist_ok=True)
    backup_folder.write_text("in the way")
    upload_id = send()
    [error] = errors_of(save(alice_client, collection, upload_id))
    assert "could not be backed up" in error
    assert text_of(collection) == OLD
    assert exists(upload_id)


# -------------------------------------------------- rolled back, and at once


def test_rolled_back_the_upload_can_be_used_again(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    upload_id = send()
    with (
        mock.patch.object(writing.Replacement, "write", side_effect=RuntimeError("a defect")),
        pytest.raises(RuntimeError),
    ):
        save(alice_client, collection, upload_id, title="Half saved")
    assert text_of(collection) == OLD
    assert TopicCollection.objects.get().title == "Kelp"
    assert exists(upload_id)
    assert saved(save(alice_client, collection, upload_id))
    assert text_of(collection) == NEW


def test_of_two_submits_at_once_one_wins_and_the_other_is_told(
    alice: User, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    upload_id = send()

    def submit() -> Any:
        client = Client()
        client.force_login(alice)
        return save(client, collection, upload_id)

    results: list[Any] = at_once([submit] * 2)
    answers = sorted(results, key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 302]
    assert errors_of(answers[0]) or errors_of(answers[0], None)
    assert text_of(collection) == NEW
    assert backups(backup_folder) == [OLD]


def test_who_lost_the_upload_between_looking_and_taking_is_told_and_leaves_no_backup(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    """The narrowest of all races: both have found the upload, and have read it."""
    upload_id = send()
    prepare = writing.Replacement.prepare
    answers = []

    def prepare_and_be_overtaken(*args: Any) -> Any:
        prepared = prepare(*args)
        with mock.patch.object(writing.Replacement, "prepare", prepare):
            answers.append(save(alice_client, collection, upload_id))
        return prepared

    with mock.patch.object(writing.Replacement, "prepare", prepare_and_be_overtaken):
        late = save(alice_client, collection, upload_id)
    assert saved(answers[0])
    [error] = errors_of(late)
    assert "was used already" in error
    assert backups(backup_folder) == [OLD]


def test_a_text_that_changed_since_its_backup_is_not_replaced(
    alice_client: Client, collection: TopicCollection, send: Send, backup_folder: Path
) -> None:
    """Else what was written in between would be in no backup."""
    upload_id = send()
    prepare = writing.Replacement.prepare
    between = "https://between.example/"

    def prepare_and_be_overtaken(*args: Any) -> Any:
        prepared = prepare(*args)
        assert saved(save(alice_client, collection, custom_seeds=between))
        return prepared

    with mock.patch.object(writing.Replacement, "prepare", prepare_and_be_overtaken):
        answer = save(alice_client, collection, upload_id)
    assert "changed meanwhile" in errors_of(answer, None)[0]
    assert text_of(collection) == between
    assert exists(upload_id)
    assert backups(backup_folder) == []
    assert saved(save(alice_client, collection, upload_id))
    assert backups(backup_folder) == [between]


# --------------------------------------------------------- without an upload


def test_e5_text_edited_in_the_form_is_saved_and_paired(
    alice_client: Client, collection: TopicCollection, backup_folder: Path
) -> None:
    answer = save(alice_client, collection, custom_seeds=NEW.replace("\n", "\r\n"))
    assert saved(answer)
    assert [level for level, _ in messages_of(answer)] == ["success"]
    assert text_of(collection) == NEW
    assert stored_seeds() == set(NEW.split())
    assert set(collection.seeds.values_list("url", flat=True)) == stored_seeds()
    assert backups(backup_folder) == []


def test_a_text_from_a_file_is_paired_by_the_next_save_without_one(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    assert saved(save(alice_client, collection, send()))
    assert saved(save(alice_client, collection, custom_seeds=text_of(collection)))
    assert set(collection.seeds.values_list("url", flat=True)) == set(NEW.split())


def test_an_old_page_does_not_write_over_a_text_it_has_not_seen(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    page = alice_client.get(edit_url(collection)).content.decode()
    assert 'name="custom_seeds_version" value="0"' in page
    assert saved(save(alice_client, collection, send()))
    answer = save(alice_client, collection, custom_seeds=OLD, custom_seeds_version="0")
    assert "changed meanwhile" in errors_of(answer, None)[0]
    assert text_of(collection) == NEW


def test_a_page_that_had_no_text_leaves_it_alone(
    alice_client: Client, collection: TopicCollection
) -> None:
    """As that of a text which was too large then, and has been replaced by a small one."""
    assert saved(alice_client.post(edit_url(collection), {"title": "Renamed"}))
    assert text_of(collection) == OLD
    assert not stored_seeds()


def test_an_upload_that_goes_while_the_form_is_checked_is_an_error_of_the_form(
    alice_client: Client, collection: TopicCollection, send: Send
) -> None:
    upload_id = send()

    def vanish(*_: Any) -> Any:
        raise FileNotFoundError

    with mock.patch("uploads.storage.filesystem.FilesystemStore.read", vanish):
        [error] = errors_of(save(alice_client, collection, upload_id))
    assert "not here any more" in error
    assert saved(save(alice_client, collection, upload_id))


@pytest.fixture
def large(collection: TopicCollection, settings: Settings) -> TopicCollection:
    """Its text is over the bound."""
    settings.TOPIC_COLLECTIONS_EDITABLE_BYTES = len(OLD) - 1
    return collection


def test_e5_text_over_the_bound_is_neither_rendered_nor_touched(
    alice_client: Client, large: TopicCollection
) -> None:
    assert TopicCollection.objects.get().custom_seeds_too_large
    page = alice_client.get(edit_url(large)).content.decode()
    assert "old.example" not in page
    assert "too much to be edited here" in page
    assert saved(save(alice_client, large, title="Renamed", custom_seeds="https://x.example/"))
    assert TopicCollection.objects.get().title == "Renamed"
    assert text_of(large) == OLD
    assert not stored_seeds()


def test_e8_text_over_the_bound_is_not_even_read(
    alice_client: Client, large: TopicCollection
) -> None:
    with CaptureQueriesContext(connection) as queries:
        alice_client.get(edit_url(large))
        assert saved(save(alice_client, large, title="Renamed"))
        alice_client.get("/collections/")
    assert not [query for query in queries if '"custom_seeds"' in query["sql"]]


def test_text_over_the_bound_is_replaced_by_an_upload(
    alice_client: Client, large: TopicCollection, send: Send, backup_folder: Path
) -> None:
    assert saved(save(alice_client, large, send("https://n.example/")))
    assert text_of(large) == "https://n.example/"
    assert backups(backup_folder) == [OLD]


def test_text_edited_to_more_than_the_bound_is_refused(
    alice_client: Client, collection: TopicCollection, settings: Settings
) -> None:
    settings.TOPIC_COLLECTIONS_EDITABLE_BYTES = 100
    text = "https://ä.example/\n" * 6
    [error] = errors_of(save(alice_client, collection, custom_seeds=text), "custom_seeds")
    assert "as a file" in error
    assert text_of(collection) == OLD


def test_a_line_that_is_no_url_is_named(alice_client: Client, collection: TopicCollection) -> None:
    text = "https://a.example/\n\nftp://b.example\nwords\nhttps://\nhttp://[x\n"
    [error] = errors_of(save(alice_client, collection, custom_seeds=text), "custom_seeds")
    assert "3, 4, 5…" in error
    assert text_of(collection) == OLD


def test_e5_saving_the_model_leaves_out_what_was_not_read(collection: TopicCollection) -> None:
    read = TopicCollection.objects.curated_by(collection.curator).get()
    TopicCollection.objects.filter(pk=collection.pk).update(custom_seeds=NEW)
    read.title = "Renamed"
    read.save()
    assert text_of(collection) == NEW
    assert "custom_seeds_upload_id" not in {f.name for f in TopicCollection._meta.get_fields()}


@pytest.mark.parametrize("text", ["", "abc", "äöü", "€" * 400_000])
def test_the_size_of_a_text_is_that_of_its_utf_8(alice: User, text: str) -> None:
    made = TopicCollection.objects.create(title="a", curator=alice, custom_seeds=text)
    made.custom_seeds = text + "ä"
    made.save(update_fields=["custom_seeds"])
    assert TopicCollection.objects.get().custom_seeds_bytes == len((text + "ä").encode())


# ----------------------------------------------------- without JavaScript


def test_a_plain_form_takes_the_file_the_same_way(
    alice_client: Client, collection: TopicCollection, backup_folder: Path
) -> None:
    file = SimpleUploadedFile("seeds.txt", NEW.encode(), "text/plain")
    given = {"title": "A topic", "custom_seeds": OLD, "custom_seeds_upload_id-file": file}
    assert saved(alice_client.post(edit_url(collection), given))
    assert text_of(collection) == NEW
    assert backups(backup_folder) == [OLD]
    assert not FileSession.objects.exists()


def test_e4_a_plain_form_takes_no_other_file(
    alice_client: Client, collection: TopicCollection
) -> None:
    file = SimpleUploadedFile("seeds.pdf", NEW.encode(), "text/plain")
    given = {"title": "A topic", "custom_seeds_upload_id-file": file}
    [error] = errors_of(alice_client.post(edit_url(collection), given))
    assert ".txt" in error
    assert text_of(collection) == OLD


# ------------------------------------------------------------ whose page it is


def test_p9_only_the_curator_has_the_page(
    alice_client: Client, bob_client: Client, collection: TopicCollection
) -> None:
    assert alice_client.get(edit_url(collection)).status_code == 200
    assert bob_client.get(edit_url(collection)).status_code == 404
    assert save(bob_client, collection, custom_seeds=NEW).status_code == 404
    assert text_of(collection) == OLD
    answer = Client().get(edit_url(collection))
    assert (answer.status_code, answer["Location"][:9]) == (302, "/sign-in/")


def test_p9_the_list_is_of_ones_own(
    alice_client: Client, bob_client: Client, collection: TopicCollection
) -> None:
    assert "Kelp" in alice_client.get("/collections/").content.decode()
    assert "Kelp" not in bob_client.get("/collections/").content.decode()


def test_a_new_collection_is_its_makers(alice: User, alice_client: Client) -> None:
    answer = alice_client.post("/collections/", {"title": "Rockweed"})
    made = TopicCollection.objects.get()
    assert (made.title, made.curator) == ("Rockweed", alice)
    assert answer["Location"] == edit_url(made)
