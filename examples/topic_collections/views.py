"""The pages: all collections of somebody, and one to be edited."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import Count, QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.generic import CreateView, UpdateView

from uploads.forms import UploadClaimed, UploadedContent, bind_uploads, taking_uploads

from .forms import UPLOAD_FIELD, CollectionForm, NewCollectionForm
from .models import TopicCollection
from .writing import ChangedMeanwhile, Replacement


class Collections(LoginRequiredMixin, CreateView):  # type: ignore[type-arg]
    """The list, and a form for one more."""

    form_class = NewCollectionForm
    template_name = "topic_collections/list.html"

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        return super().get_context_data(collections=_curated_by(self.request.user), **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        form.instance.curator = self.request.user
        return super().form_valid(form)

    def get_success_url(self) -> str:
        return reverse("topic_collections:edit", args=[self.object.pk])  # type: ignore[union-attr]


class EditCollection(LoginRequiredMixin, UpdateView):  # type: ignore[type-arg]
    form_class = CollectionForm
    template_name = "topic_collections/edit.html"

    def get_queryset(self) -> QuerySet[TopicCollection]:
        return _curated_by(self.request.user)

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        bind_uploads(form, self.request.user)
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        """What is large is read, and written to the backup, before the transaction begins."""
        content = form.cleaned_data.get(UPLOAD_FIELD)
        if content and not self._prepare(form, content):
            return self.form_invalid(form)
        return self._save(form)

    def get_success_url(self) -> str:
        return self.request.path

    def _prepare(self, form: CollectionForm, content: UploadedContent) -> bool:
        try:
            form.replacement = Replacement.prepare(form.instance, content)
        except FileNotFoundError:
            form.refuse_claimed()
        except OSError:
            form.add_error(
                UPLOAD_FIELD,
                _("The old seeds could not be backed up: nothing was replaced. Try again later."),
            )
        return form.replacement is not None

    def _save(self, form: CollectionForm) -> HttpResponse:
        """Two submits at once: one has the upload, the other is told."""
        try:
            with taking_uploads(form):
                form.save()
        except UploadClaimed:
            form.refuse_claimed()
        except ChangedMeanwhile:
            form.refuse_changed()
        else:
            return self._saved(form)
        if form.replacement is not None:
            form.replacement.withdraw()
        return self.form_invalid(form)

    def _saved(self, form: CollectionForm) -> HttpResponse:
        if form.replacement is None:
            messages.success(self.request, _("Saved."))
        else:
            messages.warning(
                self.request,
                _(
                    "The seeds were replaced by the file, and the old ones backed up. Seeds of a "
                    "file are not paired automatically."
                ),
            )
        return HttpResponseRedirect(self.get_success_url())


def _curated_by(user: object) -> QuerySet[TopicCollection]:
    return TopicCollection.objects.curated_by(user).annotate(paired=Count("seeds"))
