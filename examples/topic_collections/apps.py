"""The app as Django knows it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TopicCollectionsConfig(AppConfig):
    name = "examples.topic_collections"
    label = "topic_collections"
    verbose_name = _("Topic collections")
    default_auto_field = "django.db.models.BigAutoField"
