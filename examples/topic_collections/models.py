"""Collections of pages about a topic, and the seeds that they start from."""

from collections.abc import Iterable
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from . import conf
from .texts import byte_length

MAX_URL_LENGTH = 2000


class Seed(models.Model):
    """An address that a crawler starts from, whatever collections name it."""

    url = models.CharField(max_length=MAX_URL_LENGTH, unique=True)

    def __str__(self) -> str:
        return self.url


class TopicCollectionQuerySet(models.QuerySet["TopicCollection"]):
    def curated_by(self, user: object) -> Self:
        """The only way from a request to collections. Their texts stay in the database: each may
        have 500 MB.
        """
        return self.filter(curator=user).defer("custom_seeds")


class TopicCollection(models.Model):
    title = models.CharField(_("Title"), max_length=200)
    curator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="topic_collections"
    )
    #: One URL a line.
    custom_seeds = models.TextField(blank=True, default="")
    #: Of the text in UTF-8, so that nobody need read it to know.
    custom_seeds_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    #: Grows whenever the text is written by a form: who read another one does not overwrite it.
    custom_seeds_version = models.PositiveIntegerField(default=0, editable=False)
    seeds = models.ManyToManyField(Seed, through="SeedPairing", related_name="collections")

    objects = TopicCollectionQuerySet.as_manager()

    class Meta:
        ordering = ["title", "pk"]

    def __str__(self) -> str:
        return self.title

    def save(
        self, *args: object, update_fields: Iterable[str] | None = None, **kwargs: object
    ) -> None:
        """A text that is not written is not measured either, which would read it."""
        writes = update_fields is None and "custom_seeds" not in self.get_deferred_fields()
        if writes or (update_fields is not None and "custom_seeds" in update_fields):
            self.custom_seeds_bytes = byte_length(self.custom_seeds)
            if update_fields is not None:
                update_fields = {*update_fields, "custom_seeds_bytes"}
        super().save(*args, update_fields=update_fields, **kwargs)  # type: ignore[arg-type]

    @property
    def custom_seeds_too_large(self) -> bool:
        """For a form: then the text is neither shown in one nor touched by saving it."""
        return self.custom_seeds_bytes > conf.editable_bytes()


class SeedPairing(models.Model):
    """A seed that the text of a collection names."""

    collection = models.ForeignKey(TopicCollection, on_delete=models.CASCADE)
    seed = models.ForeignKey(Seed, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["collection", "seed"], name="topic_collections_paired_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.collection_id}: {self.seed_id}"
