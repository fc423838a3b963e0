"""From a valid form to what is saved: copies first, then one transaction that takes the uploads."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import models, router, transaction
from django.forms import BaseForm, BaseFormSet, BaseModelForm

from uploads.engine.claiming import UploadClaimed, claim
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
            copy_ahead(form, undo)
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


def files_of(form: BaseForm) -> Iterator[tuple[str, UploadedContent]]:
    """The file fields of a model form's own model that are to save an upload."""
    if not isinstance(form, BaseModelForm):
        return
    for field in form.instance._meta.get_fields():
        content = form.cleaned_data.get(field.name)
        if isinstance(field, models.FileField) and isinstance(content, UploadedContent):
            yield field.name, content


def copy_ahead(form: BaseForm, undo: ExitStack) -> None:
    """Have the model's own file fields save their files now instead of in the transaction.

    `undo` removes the copies again, and leaves the fields as the form has left them. Raises
    UploadClaimed when one was taken meanwhile.
    """
    instance = getattr(form, "instance", None)
    for name, content in files_of(form):
        file = getattr(instance, name)
        # Copied before, by whoever knows of it.
        if file._committed:
            continue
        undo.callback(setattr, instance, name, content)
        try:
            # Once it is open, nobody can take its bytes away.
            content.open()
        except FileNotFoundError as error:
            # Another submit was first, and has taken it since we looked.
            raise UploadClaimed from error
        with content:
            file.save(file.name, content, save=False)
        undo.callback(file.storage.delete, file.name)


def _each(forms: Iterable[AnyForm]) -> Iterator[BaseForm]:
    for form in forms:
        if not isinstance(form, BaseFormSet):
            yield form
            continue
        deleted = set(map(id, form.deleted_forms)) if form.can_delete else set()
        for each in form.forms:
            if id(each) not in deleted and hasattr(each, "cleaned_data"):
                yield each
