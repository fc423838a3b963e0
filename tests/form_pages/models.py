"""What the pages of the browser tests save to."""

from django.db import models


class Parcel(models.Model):
    label = models.CharField(max_length=20)
    report = models.FileField(upload_to="parcels", blank=True)

    def __str__(self) -> str:
        return self.label


class Slip(models.Model):
    """One of several that lie in a parcel: an inline of the admin."""

    parcel = models.ForeignKey(Parcel, models.CASCADE, related_name="slips")
    scan = models.FileField(upload_to="slips", blank=True)

    def __str__(self) -> str:
        return self.scan.name or ""
