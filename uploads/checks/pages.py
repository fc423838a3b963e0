"""What pages and forms are made of: templates, and static files."""

from collections.abc import Iterator
from typing import Any

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.files.storage.handler import InvalidStorageError
from django.forms.renderers import get_default_renderer
from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.template.loader import get_template

PAGE = "uploads/base.html"
WIDGET = "uploads/widgets/resumable_file.html"
SCRIPT = "js/uploads/page.js"
CONTEXT_PROCESSORS = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)


@register("uploads")
def check_templates(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"The template {name} is not found: {what} would be an error.",
            hint=hint,
            id="uploads.E009",
        )
        for name, what, hint in _templates_not_found()
    ]


@register("uploads")
def check_context_processors(**_: Any) -> list[CheckMessage]:
    """Without them pages look as if nobody were signed in, and send nothing."""
    given: set[str] = set()
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            given |= set(engine.engine.context_processors)
    return [
        CheckWarning(
            f"The context processor {path} is missing. The pages of uploads would be shown as if "
            "nobody were signed in, or not say what was done.",
            hint=f'TEMPLATES[0]["OPTIONS"]["context_processors"] += ["{path}"]',
            id="uploads.W012",
        )
        for path in CONTEXT_PROCESSORS
        if path not in given
    ]


@register("uploads")
def check_static_files(**_: Any) -> list[CheckMessage]:
    if finders.find(SCRIPT):
        return []
    return [
        Error(
            f"The static file {SCRIPT} is not found: pages would have no scripts, and forms send "
            "files in one piece.",
            hint='INSTALLED_APPS += ["django.contrib.staticfiles"]; and among the '
            'STATICFILES_FINDERS, "django.contrib.staticfiles.finders.AppDirectoriesFinder"',
            id="uploads.E010",
        )
    ]


@register("uploads")
def check_modules_are_renamed(**_: Any) -> list[CheckMessage]:
    """A hashed name changes with the file, so browsers may keep it; its imports have to follow."""
    try:
        storage: Any = storages["staticfiles"]
    except (InvalidStorageError, ImproperlyConfigured):
        return []
    if not isinstance(storage, ManifestFilesMixin):
        return []
    if storage.support_js_module_import_aggregation:
        return []
    return [
        CheckWarning(
            "Static files get names that carry their hash, but the imports between JavaScript "
            "modules stay as they are: after an update a browser would mix new scripts with old "
            "ones.",
            hint="In a storage of your own, a subclass of the one in "
            'STORAGES["staticfiles"]: support_js_module_import_aggregation = True',
            id="uploads.W013",
        )
    ]


def _templates_not_found() -> Iterator[tuple[str, str, str]]:
    """The name, what would be an error, and what helps."""
    try:
        get_template(PAGE)
    except (TemplateDoesNotExist, ImproperlyConfigured):
        yield PAGE, "the pages", 'TEMPLATES[0]["APP_DIRS"] = True'
    try:
        get_default_renderer().get_template(WIDGET)
    except (TemplateDoesNotExist, ImproperlyConfigured):
        yield (
            WIDGET,
            "each form with a ResumableFileField",
            'FORM_RENDERER = "django.forms.renderers.DjangoTemplates"',
        )
