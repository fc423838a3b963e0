"""Class-based views with forms that take uploads."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.forms import BaseForm
from django.http import HttpResponse

from uploads.engine.claiming import UploadClaimed

from .binding import bind_uploads
from .fields import ResumableFileField
from .taking import taking_uploads

View = TypeVar("View", bound=Callable[..., Any])


def takes_files(view: View) -> View:
    """Mark a view whose forms may be large, where a middleware bounds those of all others."""
    view.takes_files = True  # type: ignore[attr-defined]
    return view


class ResumableUploadMixin:
    """For FormView, CreateView and UpdateView, to the left of them.

    The form is bound to who is signed in, and to the object. `form_valid` runs in a transaction
    that takes the form's uploads; what it raises rolls that back. When another submit was first,
    the form is shown again and says so.
    """

    #: What the form is about, where that isn't the instance of a model form.
    upload_object: Any = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        view: Callable[..., Any] = super().as_view(**initkwargs)  # type: ignore[misc]
        return takes_files(view)

    def get_upload_object(self) -> Any:
        return self.upload_object

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)  # type: ignore[misc]
        bind_uploads(form, self.request.user, obj=self.get_upload_object())  # type: ignore[attr-defined]
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            with taking_uploads(form):
                response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
                return response
        except UploadClaimed:
            refuse_claimed(form)
            invalid: HttpResponse = self.form_invalid(form)  # type: ignore[attr-defined]
            return invalid


def refuse_claimed(form: BaseForm) -> None:
    """Say in the form that another submit was first."""
    fields = {name: f for name, f in form.fields.items() if isinstance(f, ResumableFileField)}
    name = next(iter(fields)) if len(fields) == 1 else None
    form.add_error(name, ResumableFileField.default_error_messages["claimed"])
