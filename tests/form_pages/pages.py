"""Pages with the field: one, several, a formset, a model; and the admin."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.generic import FormView, UpdateView

from uploads.forms import (
    ResumableFileField,
    ResumableUploadMixin,
    bind_uploads,
    takes_files,
    taking_uploads,
)

from .models import Parcel


class OneForm(forms.Form):
    """A word that must be "yes", and a file."""

    word = forms.CharField()
    report = ResumableFileField(max_size=60 * 1024 * 1024, allowed_extensions=["bin", "txt"])

    def clean_word(self) -> str:
        word: str = self.cleaned_data["word"]
        if word != "yes":
            raise forms.ValidationError("Say yes.")
        return word


class SeveralForm(forms.Form):
    first = ResumableFileField(required=False)
    photos = ResumableFileField(multiple=True)


class KindsForm(forms.Form):
    picture = ResumableFileField(required=False, allowed_types=["image/*", "text/plain"])


class ParcelForm(forms.ModelForm[Parcel]):
    report = ResumableFileField(required=False)

    class Meta:
        model = Parcel
        fields = ["label", "report"]


class RowForm(forms.Form):
    report = ResumableFileField(required=False)


RowFormSet = forms.formset_factory(RowForm, extra=2)


def told(*values: Any) -> HttpResponse:
    """The digests of what came, as a page."""
    files = [file for value in values for file in (value if isinstance(value, list) else [value])]
    digests = "\n".join(file.sha256 for file in files if file)
    return HttpResponse(
        f'<!doctype html><link rel="icon" href="data:,"><pre id="page">{digests}</pre>'
    )


class Told(LoginRequiredMixin, ResumableUploadMixin, FormView[forms.Form]):
    """Takes the uploads of its form, and tells their digests."""

    template_name = "form_pages/page.html"
    success_url = "/"

    def form_valid(self, form: forms.Form) -> HttpResponse:
        super().form_valid(form)
        fields = [name for name, f in form.fields.items() if isinstance(f, ResumableFileField)]
        return told(*[form.cleaned_data[name] for name in fields])


class One(Told):
    form_class = OneForm


class Several(Told):
    form_class = SeveralForm


class Kinds(Told):
    form_class = KindsForm


class Swapped(One):
    """The same form, sent and swapped by htmx."""

    template_name = "form_pages/swapped.html"


class EditParcel(LoginRequiredMixin, ResumableUploadMixin, UpdateView[Parcel, ParcelForm]):
    model = Parcel
    form_class = ParcelForm
    template_name = "form_pages/page.html"

    def get_success_url(self) -> str:
        return self.request.path


@takes_files
@login_required
def rows(request: HttpRequest) -> HttpResponse:
    formset = RowFormSet(request.POST or None, request.FILES or None)
    bind_uploads(formset, request.user)
    if request.method == "POST" and formset.is_valid():
        with taking_uploads(formset):
            return told(*[form.cleaned_data.get("report") for form in formset])
    return render(request, "form_pages/page.html", {"form": formset})
