"""What the pages of the browser tests save to."""

from django.db import models


class Parcel(models.Model):
    label = models.CharField(max_length=20)
    report = models.FileField(upload_to="parcels", blank=True)

    def __str__(self) -> str:
        return self.label
