"""The admin, with uploads in its form: bound to who is signed in, taken when it saves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db import connection, transaction
from django.test import RequestFactory
from pytest_django import Settings

from tests.support.sessions import content_files
from uploads.engine.claiming import claim
from uploads.forms import ResumableAdminMixin, ResumableFileField
from uploads.models import FileSession

from .conftest import DATA
from .models import Report

Make = Callable[..., FileSession]


class ReportForm(forms.ModelForm[Report]):
    report = ResumableFileField(required=False)

    class Meta:
        model = Report
        fields = ["title", "report"]


class ReportAdmin(ResumableAdminMixin, admin.ModelAdmin[Report]):
    form = ReportForm

    # The log wants a content type, which a model without an app has none of.
    def log_addition(self, *args: Any, **kwargs: Any) -> Any:
        return None

    def response_add(self, *args: Any, **kwargs: Any) -> Any:
        from django.http import HttpResponse

        return HttpResponse("added")


SCOPE = "admin.form_tests.report|report|"


@pytest.fixture(autouse=True)
def reports(real_commits: None, settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.MEDIA_ROOT = tmp_path
    with connection.schema_editor() as editor:
        editor.create_model(Report)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Report)


def add(user: User, **given: str) -> Any:
    request = RequestFactory().post("/add/", {"title": "a title", **given})
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    request.user = user
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    answer = ReportAdmin(Report, admin.site).changeform_view(request)
    return answer, [str(message) for message in request._messages]  # type: ignore[attr-defined]


@pytest.fixture
def root(alice: User) -> User:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    return alice


def test_the_admin_saves_what_was_uploaded_and_takes_it(root: User, make_upload: Make) -> None:
    session = make_upload(root, scope=SCOPE)
    answer, _ = add(root, report=str(session.pk))
    assert answer.content == b"added"
    with Report.objects.get().report.open() as file:
        assert file.read() == DATA
    assert content_files() == []


def test_p9_the_admin_takes_nobody_elses_upload(root: User, bob: User, make_upload: Make) -> None:
    answer, _ = add(root, report=str(make_upload(bob, scope=SCOPE).pk))
    assert answer.status_code == 200
    assert answer.context_data["errors"]
    assert not Report.objects.exists()


@pytest.mark.parametrize("look", [1, 2])
def test_of_two_submits_in_the_admin_the_second_is_told_and_saves_nothing(
    root: User, make_upload: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look: int
) -> None:
    session = make_upload(root, scope=SCOPE)

    looks: list[ReportForm] = []

    def first(form: ReportForm) -> None:
        looks.append(form)
        if len(looks) == look:
            with transaction.atomic():
                claim([session])

    monkeypatch.setattr(ReportForm, "clean", first)
    answer, said = add(root, report=str(session.pk))
    assert (answer.status_code, answer["Location"]) == (302, "/add/")
    assert said == ["This upload was used already. Choose the file again."]
    assert not Report.objects.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_admin_copies_before_its_transaction(
    root: User, make_upload: Make, saves_in_transactions: list[bool]
) -> None:
    add(root, report=str(make_upload(root, scope=SCOPE).pk))
    assert saves_in_transactions == [False]
    assert Report.objects.get().report.name == "reports/notes.txt"


def test_a_copy_made_ahead_goes_when_the_admin_saves_nothing(
    root: User, make_upload: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Report, "save", fail)
    session = make_upload(root, scope=SCOPE)
    with pytest.raises(ZeroDivisionError):
        add(root, report=str(session.pk))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    add(root, report=str(session.pk))
    assert Report.objects.get().report.name == "reports/notes.txt"


def test_inlines_are_bound_too(root: User) -> None:
    class Plain:
        """An inline's formset without a parent: what matters is its form."""

        model = Report

        def get_formset(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
            return forms.modelformset_factory(Report, form=ReportForm)

    class Bound(ResumableAdminMixin, Plain):
        pass

    request = RequestFactory().get("/")
    request.user = root
    formset = Bound().get_formset(request)(queryset=Report.objects.none())
    assert "data-ticket" in str(formset.empty_form)
