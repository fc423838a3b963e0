"""What projects test their forms with."""

from collections.abc import Callable

from django.contrib.auth.models import User

from tests.support.bodies import payload
from uploads.forms import bind_uploads
from uploads.pytest_plugin import completed_upload  # noqa: F401 (a fixture)

from .conftest import PhotosForm, ReportForm, bound

Complete = Callable[..., str]


def test_a_project_s_test_has_a_complete_upload_to_submit(
    alice: User,
    completed_upload: Complete,  # noqa: F811
) -> None:
    given = {"filename": "a.txt", "content_type": "text/plain"}
    upload_id = completed_upload(alice, b"notes", form=ReportForm, field="report", **given)
    form = bound(alice, [upload_id])
    assert form.is_valid(), form.errors
    with form.cleaned_data["report"] as file:
        assert (file.name, file.read()) == ("a.txt", b"notes")


def test_it_is_for_that_form_object_and_user_only(
    alice: User,
    bob: User,
    completed_upload: Complete,  # noqa: F811
) -> None:
    upload_id = completed_upload(alice, payload(10), form=ReportForm, field="report", obj=bob)
    assert not bound(alice, [upload_id]).is_valid()
    assert not bound(bob, [upload_id], obj=bob).is_valid()
    form = PhotosForm({"photos": upload_id})
    bind_uploads(form, alice)
    assert not form.is_valid()
