"""Pages with a form, as a project has them."""

from config import urls
from django import forms
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import FormView

from uploads.forms import ResumableFileField, ResumableUploadMixin


class LargeForm(forms.Form):
    report = ResumableFileField()


class Large(LoginRequiredMixin, ResumableUploadMixin, FormView[LargeForm]):
    form_class = LargeForm
    success_url = "/"

    def form_valid(self, form: LargeForm) -> HttpResponse:
        return HttpResponse(form.cleaned_data["report"].sha256)


def small(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.FILES)))


handler400, handler500 = urls.handler400, urls.handler500

urlpatterns = [
    path("", include(urls)),
    path("large/", Large.as_view()),
    path("small/", small),
]
