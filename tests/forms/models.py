"""A model as a project has one, without an app of its own: its table is made by a fixture."""

from typing import ClassVar

from django.core.files.storage import FileSystemStorage
from django.db import models


class Report(models.Model):
    title = models.CharField(max_length=50)
    report = models.FileField(upload_to="reports", blank=True, storage=FileSystemStorage())

    objects: ClassVar[models.Manager["Report"]] = models.Manager()

    class Meta:
        app_label = "form_tests"

    def __str__(self) -> str:
        return self.title
