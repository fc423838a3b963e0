"""P10: one shape of all refusals, and one table from error to status."""

import pytest
from django.test import Client

from uploads import errors
from uploads.errors import UploadError
from uploads.protocols.problems import problem, status_of

from .conftest import refused


def subclasses(kind: type[UploadError]) -> set[type[UploadError]]:
    return {kind}.union(*(subclasses(below) for below in kind.__subclasses__()))


CLASSES = sorted(subclasses(UploadError) - {UploadError}, key=lambda kind: kind.__name__)


def test_the_shape_of_a_refusal(client: Client, db: None) -> None:
    response = client.get("/api/v1/uploads")
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response.json() == {
        "type": "urn:holdfast:problem:not_authenticated",
        "title": "Signing in is required",
        "status": 401,
        "code": "not_authenticated",
        "detail": "This address needs you to be signed in. Sign in and send the session cookie, "
        "or send `Authorization: Bearer <token>` with a token from the page of access tokens or "
        "`manage.py issue_token`.",
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_class_has_a_status_a_code_and_a_title(kind: type[UploadError]) -> None:
    response = problem(kind("What is wrong.", fact=1))
    assert 400 <= response.status_code == status_of(kind) < 600
    assert {"code", "title"} <= set(vars(kind)), "each class has its own"
    assert response.status_code != 500
    assert ("Retry-After" in response) == (kind.retry_after is not None)


def test_no_two_classes_share_a_code() -> None:
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


def test_a_class_outside_the_table_is_an_error_here_not_for_a_client() -> None:
    with pytest.raises(LookupError):
        status_of(UploadError)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.LengthMismatch, 400),
        (errors.RangeMismatch, 400),
        (errors.InvalidFilename, 400),
        (errors.NotAuthenticated, 401),
        (errors.CsrfFailed, 403),
        (errors.InsufficientScope, 403),
        (errors.SessionNotFound, 404),
        (errors.ChunkNotFound, 404),
        (errors.ChunkConflict, 409),
        (errors.ChunksMissing, 409),
        (errors.SessionFailed, 409),
        (errors.ContentNotReady, 409),
        (errors.SessionCancelled, 410),
        (errors.SessionExpired, 410),
        (errors.ContentDamaged, 409),
        (errors.LengthRequired, 411),
        (errors.PreconditionFailed, 412),
        (errors.TooLarge, 413),
        (errors.UnsupportedMedia, 415),
        (errors.RangeNotSatisfiable, 416),
        (errors.DigestMismatch, 422),
        (errors.StorageUnavailable, 503),
        (errors.StorageFull, 507),
    ],
)
def test_the_statuses_that_clients_rely_on(kind: type[UploadError], status: int) -> None:
    assert status_of(kind) == status


def test_p10_a_query_of_too_many_fields_is_refused_in_the_same_shape(alice_client: Client) -> None:
    """Django refuses it wherever the query is first looked at."""
    response = alice_client.get("/api/v1/uploads?" + "&".join(["state=active"] * 1001))
    assert refused(response, 400, "invalid_request")
