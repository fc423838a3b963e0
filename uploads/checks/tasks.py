"""The queue in which complete uploads wait to be verified."""

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django_tasks import DEFAULT_TASK_BACKEND_ALIAS, task_backends
from django_tasks.exceptions import InvalidTaskBackendError

_THREADS = 'TASKS = {"default": {"BACKEND": "uploads.engine.threads.ThreadBackend"}}'


@register("uploads")
def check_task_backend(**_: Any) -> list[CheckMessage]:
    try:
        backend = task_backends[DEFAULT_TASK_BACKEND_ALIAS]
    except (InvalidTaskBackendError, KeyError) as error:
        return [_unusable(f'TASKS["default"] cannot be used: {error}')]
    # By their names, which Django's own have as well.
    kinds = {kind.__name__ for kind in type(backend).__mro__}
    if "DummyBackend" in kinds:
        return [
            _unusable('TASKS["default"] is the dummy backend, which only notes what it is told')
        ]
    return [_in_the_request()] if "ImmediateBackend" in kinds else []


@register("uploads")
def check_task_app(**_: Any) -> list[CheckMessage]:
    if apps.is_installed("django_tasks"):
        return []
    return [
        CheckWarning(
            "django_tasks is not among the INSTALLED_APPS: the task backend is not checked, and "
            "overriding TASKS in a test changes nothing.",
            hint='INSTALLED_APPS += ["django_tasks"]',
            id="uploads.W006",
        )
    ]


def _unusable(what: str) -> Error:
    return Error(
        f"{what}. Nothing would verify an upload, so none would ever be complete.",
        hint=f"Let threads of the server do it: {_THREADS}",
        id="uploads.E006",
    )


def _in_the_request() -> CheckWarning:
    return CheckWarning(
        "Tasks run where they are enqueued (TASKS names the immediate backend, or is not set): the "
        "request that brings the last chunk is answered only after the whole file was read and "
        "hashed. Of a large file that is longer than browsers and proxies wait.",
        hint=f"Let threads of the server do it: {_THREADS}",
        id="uploads.W005",
    )
