"""From a form to what is saved: once, with the transaction or not at all, and copies before it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InMemoryStorage
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.datastructures import MultiValueDict
from django.views.generic import CreateView, FormView, UpdateView
from pytest_django import Settings

from tests.support.bodies import payload
from tests.support.sessions import content_files
from tests.support.threads import at_once
from uploads.engine.access import get_session
from uploads.engine.claiming import claim
from uploads.forms import (
    ResumableFileField,
    ResumableUploadMixin,
    UploadClaimed,
    bind_uploads,
    taking_uploads,
)
from uploads.models import FileSession

from .conftest import DATA, SCOPE, ReportForm, bound
from .models import Report

Make = Callable[..., FileSession]


class ReportModelForm(forms.ModelForm[Report]):
    report = ResumableFileField(required=False)

    class Meta:
        model = Report
        fields = ["title", "report"]


MODEL_SCOPE = f"{__name__}.ReportModelForm|report|"


@pytest.fixture
def reports(real_commits: None) -> Iterator[None]:
    with connection.schema_editor() as editor:
        editor.create_model(Report)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Report)


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def saved() -> bytes:
    """The file of the only report."""
    with Report.objects.get().report.open() as file:
        whole: bytes = file.read()
    return whole


def model_form(user: User, ids: list[str], instance: Report | None = None) -> ReportModelForm:
    data = MultiValueDict({"title": ["a title"], "report": ids})
    form = ReportModelForm(data, instance=instance)
    bind_uploads(form, user)
    assert form.is_valid(), form.errors
    return form


def test_what_was_taken_is_gone_after_the_commit_and_was_there_until_then(
    alice: User, make_upload: Make
) -> None:
    session = make_upload(alice)
    form = bound(alice, [str(session.pk)])
    assert form.is_valid()
    with taking_uploads(form), form.cleaned_data["report"] as file:
        assert file.read() == DATA
    assert content_files() == []
    assert not bound(alice, [str(session.pk)]).is_valid()


def test_what_is_raised_within_gives_everything_back(alice: User, make_upload: Make) -> None:
    session = make_upload(alice)
    form = bound(alice, [str(session.pk)])
    assert form.is_valid()
    with pytest.raises(ZeroDivisionError), taking_uploads(form):
        _ = 1 / 0
    assert get_session(alice, session.pk).claimed_at is None
    assert bound(alice, [str(session.pk)]).is_valid()


def test_another_submit_that_was_first_keeps_the_second_from_saving(
    alice: User, make_upload: Make
) -> None:
    session = make_upload(alice)
    form = bound(alice, [str(session.pk)])
    assert form.is_valid()
    with transaction.atomic():
        claim([session])
    saved: list[bool] = []
    with pytest.raises(UploadClaimed), taking_uploads(form):
        saved.append(True)
    assert saved == []


def test_a_form_without_an_upload_takes_none(alice: User) -> None:
    form = bound(alice, [])
    assert form.is_valid()
    with taking_uploads(form):
        assert transaction.get_connection().in_atomic_block


def test_a_model_s_file_is_copied_before_the_transaction(
    alice: User, make_upload: Make, reports: None, saves_in_transactions: list[bool]
) -> None:
    form = model_form(alice, [str(make_upload(alice, scope=MODEL_SCOPE).pk)])
    with taking_uploads(form):
        form.save()
    assert saves_in_transactions == [False]
    assert saved() == DATA
    assert Report.objects.get().report.name == "reports/notes.txt"
    assert content_files() == []


def test_without_taking_a_model_form_saves_as_ever(
    alice: User, make_upload: Make, reports: None
) -> None:
    session = make_upload(alice, scope=MODEL_SCOPE)
    model_form(alice, [str(session.pk)]).save()
    assert saved() == DATA
    assert get_session(alice, session.pk).claimed_at is None


def test_rolled_back_its_copy_goes_too_and_the_form_is_as_it_was(
    alice: User, make_upload: Make, reports: None, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = model_form(alice, [str(make_upload(alice, scope=MODEL_SCOPE).pk)])
    monkeypatch.setattr(Report, "save", fail)
    with pytest.raises(ZeroDivisionError), taking_uploads(form):
        form.save()
    monkeypatch.undo()
    assert files_in(media) == []
    assert not vars(form.instance.report)["_committed"]
    with taking_uploads(form):
        form.save()
    assert saved() == DATA


def test_forms_of_a_formset_are_taken_together_without_those_deleted(
    alice: User, make_upload: Make
) -> None:
    formset_of = forms.formset_factory(ReportForm, extra=3, can_delete=True)
    sessions = [make_upload(alice, payload(10, seed)) for seed in range(3)]
    # Made for forms of the formset, whatever their number.
    FileSession.objects.update(scope=SCOPE.replace("|report", "|reports-report"))
    data = {
        "reports-TOTAL_FORMS": ["4"],
        "reports-INITIAL_FORMS": ["0"],
        "reports-2-DELETE": ["on"],
        **{f"reports-{n}-report": [str(session.pk)] for n, session in enumerate(sessions)},
    }
    formset = formset_of(MultiValueDict(data), prefix="reports")
    bind_uploads(formset, alice)
    assert formset.is_valid(), formset.errors
    with taking_uploads(formset):
        pass
    assert list(FileSession.objects.all()) == [sessions[2]]


def test_a_formset_that_was_looked_at_is_bound_too(alice: User) -> None:
    formset = forms.formset_factory(ReportForm, extra=2)()
    assert len(formset.forms) == 2
    bind_uploads(formset, alice)
    html = str(formset)
    assert html.count("data-ticket") == 2
    assert "data-ticket" in str(formset.empty_form)


# Views.


class Reports(ResumableUploadMixin, FormView[ReportForm]):
    form_class = ReportForm
    success_url = "/done"
    fails = False

    def form_valid(self, form: ReportForm) -> HttpResponse:
        if type(self).fails:
            raise ZeroDivisionError
        return super().form_valid(form)

    def form_invalid(self, form: ReportForm) -> HttpResponse:
        return HttpResponse(form.errors.as_text(), status=400)


class Creating(ResumableUploadMixin, CreateView[Report, ReportModelForm]):
    model = Report
    form_class = ReportModelForm
    success_url = "/done"


class Updating(ResumableUploadMixin, UpdateView[Report, ReportModelForm]):
    model = Report
    form_class = ReportModelForm
    success_url = "/done"


def post(view: Any, user: Any, data: dict[str, Any], **kwargs: Any) -> Any:
    request = RequestFactory().post("/", data)
    request.user = user
    return view.as_view()(request, **kwargs)


def test_a_view_takes_what_its_form_has(alice: User, make_upload: Make) -> None:
    session = make_upload(alice)
    assert post(Reports, alice, {"report": str(session.pk)}).status_code == 302
    answer = post(Reports, alice, {"report": str(session.pk)})
    assert (answer.status_code, b"not here any more" in answer.content) == (400, True)


def test_of_two_submits_at_once_the_second_is_told_in_its_form(
    alice: User, make_upload: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_upload(alice)

    def first(form: ReportForm) -> None:
        with transaction.atomic():
            claim([session])

    monkeypatch.setattr(ReportForm, "clean", first)
    answer = post(Reports, alice, {"report": str(session.pk)})
    assert (answer.status_code, b"used already" in answer.content) == (400, True)


def test_a_view_that_fails_leaves_the_upload_usable(
    alice: User, make_upload: Make, reports: None, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"title": "a", "report": str(make_upload(alice, scope=MODEL_SCOPE).pk)}
    monkeypatch.setattr(Report, "save", fail)
    with pytest.raises(ZeroDivisionError):
        post(Creating, alice, given)
    monkeypatch.undo()
    assert files_in(media) == []
    assert post(Creating, alice, given).status_code == 302
    assert saved() == DATA


def test_an_upload_for_another_object_is_not_taken_by_an_update(
    alice: User, make_upload: Make, reports: None
) -> None:
    one, other = Report.objects.create(title="one"), Report.objects.create(title="other")
    session = make_upload(alice, scope=f"{MODEL_SCOPE}form_tests.report:{one.pk}")
    given = {"title": "new", "report": str(session.pk)}
    assert post(Updating, alice, given, pk=other.pk).status_code == 200
    assert post(Updating, alice, given, pk=one.pk).status_code == 302
    assert [r.report.name for r in Report.objects.order_by("pk")] == ["reports/notes.txt", ""]


def test_a_view_says_when_it_needs_somebody_signed_in() -> None:
    with pytest.raises(ImproperlyConfigured, match="LoginRequiredMixin"):
        post(Reports, AnonymousUser(), {})


def test_of_two_submits_that_really_meet_one_saves(
    alice: User, make_upload: Make, reports: None, media: Path
) -> None:
    session = make_upload(alice, scope=MODEL_SCOPE)
    given = {"title": "a", "report": str(session.pk)}
    statuses = at_once([lambda: post(Creating, alice, given).status_code] * 2)
    assert sorted(map(str, statuses)) == ["200", "302"]
    assert saved() == DATA
    assert len(files_in(media)) == 1


def test_any_storage_can_save_it(alice: User, make_upload: Make) -> None:
    form = bound(alice, [str(make_upload(alice).pk)])
    assert form.is_valid()
    storage = InMemoryStorage()
    name = storage.save("notes.txt", form.cleaned_data["report"])
    with storage.open(name) as file:
        assert file.read() == DATA
