"""Upload-Concat: uploads joined of partial ones (tus 1.0, section "Concatenation")."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_script_prefix
from django.utils import timezone
from pytest_django import Settings

from tests.support.bodies import payload, sha256
from tests.support.sessions import begin, content_of, damage, staging_of
from uploads import conf
from uploads.engine.finishing import finish
from uploads.engine.sweeping import sweep
from uploads.models import FileSession

from .conftest import Answer, Ask, V, fits, row
from .test_post import b64

Create = Callable[..., str]
FIRST, SECOND = payload(300), payload(200, seed=1)
DATA = FIRST + SECOND


@pytest.fixture
def parts(create: Create, patch: Ask) -> list[str]:
    """Two partial uploads, with all their bytes."""
    found = []
    for data in (FIRST, SECOND):
        path = create(len(data), Upload_Concat="partial")
        patch(path, 0, data)
        found.append(path)
    return found


@pytest.fixture
def join(ask: Ask) -> Callable[..., Answer]:
    def send(paths: list[str], metadata: str = "", **given: str) -> Answer:
        concat = f"final;{' '.join(paths)}"
        return ask(
            "POST /files/", V | {"Upload-Concat": concat, "Upload-Metadata": metadata} | given
        )

    return send


Join = Callable[..., Answer]


def path_of(answer: Answer) -> str:
    assert answer.status_code == 201, answer.content
    location: str = answer["Location"]
    return location.removeprefix("http://testserver")


def test_a_partial_upload_says_that_it_is_one_and_never_completes(
    ask: Ask, create: Create, patch: Ask
) -> None:
    path = create(5, Upload_Concat="partial")
    assert fits(ask(f"HEAD {path}"), 200, Upload_Concat="partial", Upload_Offset="0")
    assert fits(patch(path, 0, b"hello"), 204, Upload_Offset="5")
    assert fits(ask(f"HEAD {path}"), 200, Upload_Concat="partial", Upload_Offset="5")
    assert row(path).status == "active"


def test_no_other_protocol_completes_a_partial_upload(
    parts: list[str], alice_client: Client
) -> None:
    session = row(parts[0])
    url = f"/api/v1/uploads/{session.pk}/complete"
    answer = alice_client.post(url, {"sha256": sha256(FIRST)}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "part_only")


def test_two_partial_uploads_are_joined_in_the_order_that_is_given(
    ask: Ask, parts: list[str], join: Join
) -> None:
    metadata = f"filename {b64('joined.bin')}"
    answer = join(parts[::-1], metadata)
    assert fits(answer, 201, Upload_Offset=None)
    path = path_of(answer)
    urls = " ".join(f"http://testserver{part}" for part in parts[::-1])
    assert fits(
        ask(f"HEAD {path}"),
        200,
        Upload_Offset="500",
        Upload_Length="500",
        Upload_Concat=f"final;{urls}",
        Upload_Metadata=metadata,
    )
    joined = row(path)
    assert (joined.filename, joined.status) == ("joined.bin", "completed")
    assert content_of(joined) == SECOND + FIRST
    assert joined.sha256 == sha256(SECOND + FIRST)


def test_addresses_may_be_absolute(parts: list[str], join: Join) -> None:
    path = path_of(join([f"http://testserver{part}" for part in parts]))
    assert content_of(row(path)) == DATA


def test_a_site_below_a_path_finds_its_own_addresses(ask: Ask, join: Join) -> None:
    with override_script_prefix("/site/"):
        part = ask("POST /files/", V | {"Upload-Length": "5", "Upload-Concat": "partial"})
        assert part["Location"].startswith("http://testserver/site/files/")
        assert fits(join([part["Location"]]), 201)


def test_the_parts_go_when_their_bytes_are_a_file(
    ask: Ask, parts: list[str], join: Join, alice: User
) -> None:
    path = path_of(join(parts))
    assert [row(part).status for part in parts] == ["cancelled", "cancelled"]
    assert not any(staging_of(row(part)).exists() for part in parts)
    # A client that was not told of the end asks after its parts: they are not to be sent again.
    for part, data in zip(parts, (FIRST, SECOND), strict=True):
        assert fits(ask(f"HEAD {part}"), 200, Upload_Offset=str(len(data)), Upload_Expires=None)
    assert path_of(join(parts)) == path
    assert FileSession.objects.filter(owner=alice, status="completed").count() == 1


def test_a_part_may_be_joined_twice(parts: list[str], join: Join) -> None:
    assert content_of(row(path_of(join([parts[0], parts[0]])))) == FIRST * 2


def test_a_declared_sha256_is_checked(ask: Ask, parts: list[str], join: Join) -> None:
    wrong = path_of(join(parts, f"sha256 {b64('f' * 64)}"))
    assert fits(ask(f"HEAD {wrong}"), 410, Upload_Offset=None)
    right = path_of(join(parts, f"sha256 {b64(sha256(DATA))}"))
    assert fits(ask(f"HEAD {right}"), 200, Upload_Offset="500")


def test_a_patch_on_a_final_upload_is_403(
    ask: Ask, create: Create, parts: list[str], join: Join, patch: Ask
) -> None:
    assert fits(patch(path_of(join(parts)), 500, b"more"), 403)
    unfinished = create(10, Upload_Concat="partial")
    assert fits(patch(path_of(join([unfinished])), 0, b"x"), 403)


def test_a_final_upload_is_created_without_bytes(ask: Ask, parts: list[str], join: Join) -> None:
    said = V | {
        "Upload-Concat": f"final;{parts[0]}",
        "Content-Type": "application/offset+octet-stream",
    }
    assert fits(ask("POST /files/", said, b"x"), 403, Location=None)


@pytest.mark.parametrize(
    ("concat", "status"),
    [
        ("final", 400),
        ("final;", 400),
        ("final; ", 400),
        ("Final;/files/x", 400),
        ("partial;", 400),
        ("", 400),
        ("final;/files/x", 404),
        ("final;x", 404),
        ("final;/", 404),
        ("final;http://[/files/x", 404),
        (f"final;/files/{UUID(int=1)}", 404),
        (f"final;/api/v1/uploads/{UUID(int=1)}", 404),
        ("final;" + " ".join(["/files/x"] * 101), 400),
    ],
)
def test_p10_what_cannot_be_joined_is_refused(ask: Ask, concat: str, status: int) -> None:
    said = V | {"Upload-Concat": concat, "Upload-Length": "5"}
    assert fits(ask("POST /files/", said), status, Location=None)
    assert not FileSession.objects.exists()


def test_only_partial_uploads_are_joined(create: Create, join: Join) -> None:
    assert fits(join([create(5)]), 400)


def test_p9_only_ones_own_are_joined(
    ask: Ask, parts: list[str], bob: User, bob_client: Client
) -> None:
    said = V | {"Upload-Concat": f"final;{parts[0]}"}
    assert fits(ask("POST /files/", said, client=bob_client), 404)


def test_a_part_that_is_gone_is_410(ask: Ask, parts: list[str], join: Join) -> None:
    ask(f"DELETE {parts[1]}")
    assert fits(join(parts), 410)


# concatenation-unfinished.


def test_parts_may_be_unfinished(ask: Ask, create: Create, patch: Ask, join: Join) -> None:
    first, second = create(300, Upload_Concat="partial"), create(200, Upload_Concat="partial")
    path = path_of(join([first, second]))
    told = ask(f"HEAD {path}")
    assert fits(told, 200, Upload_Offset=None, Upload_Length="500", Upload_Expires=None)
    finish(row(path).pk)
    assert row(path).status == "assembling"
    patch(second, 0, SECOND)
    patch(first, 0, FIRST[:100])
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset=None)
    patch(first, 100, FIRST[100:])
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="500")
    assert content_of(row(path)) == DATA


def test_the_length_of_a_part_may_be_unknown(
    ask: Ask, create: Create, patch: Ask, join: Join
) -> None:
    part = create(None, Upload_Concat="partial")
    path = path_of(join([part]))
    told = ask(f"HEAD {path}")
    assert fits(told, 200, Upload_Offset=None, Upload_Length=None, Upload_Defer_Length=None)
    patch(part, 0, b"hello", Upload_Length="5")
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="5", Upload_Length="5")


def test_parts_of_no_bytes_are_parts(ask: Ask, create: Create, join: Join) -> None:
    empty = create(0, Upload_Concat="partial")
    assert row(empty).status == "active"
    assert fits(ask(f"HEAD {path_of(join([empty, empty]))}"), 200, Upload_Offset="0")


def test_a_part_that_goes_fails_what_waits_for_it(ask: Ask, create: Create, join: Join) -> None:
    part = create(10, Upload_Concat="partial")
    path = path_of(join([part]))
    ask(f"DELETE {part}")
    finish(row(path).pk)
    assert fits(ask(f"HEAD {path}"), 410, Upload_Offset=None)
    assert row(path).error.startswith("A part")


def test_parts_that_are_too_large_together_fail(
    ask: Ask, create: Create, patch: Ask, join: Join, settings: Settings
) -> None:
    settings.UPLOADS = conf.given(MAX_FILE_SIZE=7)
    known = create(5, Upload_Concat="partial")
    assert fits(join([known, known]), 413, Location=None)
    unknown = create(None, Upload_Concat="partial")
    path = path_of(join([known, unknown]))
    patch(known, 0, b"hello")
    patch(unknown, 0, b"hello", Upload_Length="5")
    assert row(path).status == "failed"
    assert "larger" in row(path).error


def test_p4_what_a_disk_has_damaged_of_a_part_is_missing_there(
    ask: Ask, create: Create, patch: Ask, join: Join
) -> None:
    first, second = create(300, Upload_Concat="partial"), create(200, Upload_Concat="partial")
    path = path_of(join([first, second]))
    patch(first, 0, FIRST)
    damage(row(first), 5)
    patch(second, 0, SECOND)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset=None)
    assert row(path).status == "assembling"
    assert fits(ask(f"HEAD {first}"), 200, Upload_Offset="0")
    patch(first, 0, FIRST)
    assert content_of(row(path)) == DATA


def test_a_terminated_final_upload_leaves_its_parts(ask: Ask, create: Create, join: Join) -> None:
    part = create(10, Upload_Concat="partial")
    path = path_of(join([part]))
    assert fits(ask(f"DELETE {path}"), 204)
    assert fits(ask(f"HEAD {path}"), 410)
    assert fits(ask(f"HEAD {part}"), 200, Upload_Offset="0")


def test_parts_that_nobody_joins_expire_as_all_uploads_do(parts: list[str]) -> None:
    FileSession.objects.update(updated_at=timezone.now() - timedelta(hours=49))
    assert sweep(48).expired == 2
    assert [row(part).status for part in parts] == ["expired", "expired"]


def test_no_other_protocol_puts_bytes_into_a_final_upload(
    create: Create, join: Join, alice: User, alice_client: Client
) -> None:
    path = path_of(join([create(10, Upload_Concat="partial")]))
    url = f"/api/v1/uploads/{row(path).pk}"
    answer = alice_client.put(f"{url}/chunks/0", b"x" * 10, "application/octet-stream")
    assert answer.status_code == 409
    answer = alice_client.post(f"{url}/complete", {}, "application/json")
    assert (answer.status_code, answer.json()["state"]) == (202, "assembling")
    assert begin(alice, b"x" * 10).pk != row(path).pk


def test_a_hash_that_another_open_upload_declares_is_409(
    parts: list[str], join: Join, alice: User
) -> None:
    begin(alice, DATA)
    assert fits(join(parts, f"sha256 {b64(sha256(DATA))}"), 409, Location=None)
    assert fits(join(parts), 201)
