"""Forms as a project has them, and their owner."""

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.db import connection
from django.utils.datastructures import MultiValueDict
from pytest_django import Settings

from tests.support.bodies import payload
from tests.support.sessions import upload
from uploads.engine.admitting import Admission
from uploads.forms import ResumableFileField, bind_uploads
from uploads.models import FileSession

from .models import Report

DATA = payload(350)
#: The scope of `ReportForm.report` without an object.
SCOPE = f"{__name__}.ReportForm|report|"


class ReportForm(forms.Form):
    title = forms.CharField(required=False)
    report = ResumableFileField(
        max_size=400, allowed_extensions=["txt"], allowed_types=["text/plain"], required=False
    )


class PhotosForm(forms.Form):
    photos = ResumableFileField(multiple=True)


def bound(
    user: User, ids: list[str], files: list[Any] | None = None, obj: Any = None
) -> ReportForm:
    """The form as it was submitted with these ids of uploads, and plain files."""
    data = MultiValueDict({"report": ids, "title": ["a title"]})
    form = ReportForm(data, MultiValueDict({"report-file": files or []}))
    bind_uploads(form, user, obj=obj)
    return form


@pytest.fixture(autouse=True)
def real_commits(transactional_db: None, settings: Settings) -> None:
    """Verifiers run when a test lets them, as in the engine's own tests."""
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}


@pytest.fixture
def saves_in_transactions(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each file that the model's storage has saved, whether a transaction was open."""
    seen: list[bool] = []
    storage = Report._meta.get_field("report").storage
    save = storage.save

    def noting(*args: Any, **kwargs: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return save(*args, **kwargs)

    monkeypatch.setattr(storage, "save", noting)
    return seen


@pytest.fixture
def make_upload() -> Callable[..., FileSession]:
    """A complete upload, made for the form above unless `scope` says otherwise."""

    def make(user: User, data: bytes = DATA, scope: str = SCOPE, **given: Any) -> FileSession:
        named = {"filename": "notes.txt", "mime_type": "text/plain", **given}
        return upload(user, data, admission=Admission(scope), **named)

    return make
