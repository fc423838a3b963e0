"""From a valid form to what is saved: copies first, then one transaction that takes the uploads."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import models, router, transaction
from django.forms import BaseForm, BaseFormSet, BaseModelForm

from uploads.engine.claiming import claim
from uploads.engine.uploaded import UploadedContent
from uploads.models import FileSession

AnyForm = BaseForm | BaseFormSet[Any]


@contextmanager
def taking_uploads(*forms: AnyForm, using: str | None = None) -> Iterator[None]:
    """Take all uploads of these valid forms, for what is saved within.

    First the files that model forms will save are copied to their storages, so that nobody waits
    for that; then a transaction begins (on the database `using`, by default that of the uploads),
    and all uploads are claimed in it. If anything is raised within, it is rolled back: the uploads
    can be used again, and the copies go. Once it has committed, the uploads go.

    Raises UploadClaimed, before anything within, when one was used or deleted meanwhile.
    """
    every = list(_each(forms))
    with ExitStack() as undo:
        for form in every:
            _copy_ahead(form, undo)
        with transaction.atomic(using=using or router.db_for_write(FileSession)):
            claim([content.session for form in every for content in uploads_of(form)])
            yield
        undo.pop_all()


def uploads_of(form: BaseForm) -> list[UploadedContent]:
    """All uploads that a valid form has."""
    found: list[UploadedContent] = []
    for value in form.cleaned_data.values():
        values = value if isinstance(value, list) else [value]
        found += [content for content in values if isinstance(content, UploadedContent)]
    return found


def _each(forms: Iterable[AnyForm]) -> Iterator[BaseForm]:
    for form in forms:
        if not isinstance(form, BaseFormSet):
            yield form
            continue
        deleted = set(map(id, form.deleted_forms)) if form.can_delete else set()
        for each in form.forms:
            if id(each) not in deleted and hasattr(each, "cleaned_data"):
                yield each


def _copy_ahead(form: BaseForm, undo: ExitStack) -> None:
    """Have the model's own file fields save their files now instead of in the transaction."""
    if not isinstance(form, BaseModelForm):
        return
    for field in form.instance._meta.get_fields():
        content = form.cleaned_data.get(field.name)
        if isinstance(field, models.FileField) and isinstance(content, UploadedContent):
            undo.callback(_forgetting(form.instance, field.name, content))
            file = getattr(form.instance, field.name)
            file.save(file.name, content, save=False)
            content.close()
            undo.callback(file.storage.delete, file.name)


def _forgetting(instance: models.Model, name: str, content: UploadedContent) -> Callable[[], None]:
    """Afterwards the field is as the form has left it."""
    return lambda: setattr(instance, name, content)
