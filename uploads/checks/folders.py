"""The settings of the app, its data folder, and the validators that they name."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from uploads import conf

_A_GOOD_ROOT = 'UPLOADS = {"ROOT": BASE_DIR / "uploads-data"}'
_SUBFOLDERS = ("staging", "content")
#: So many names of a served folder are looked at; there may be millions, and a check must be quick.
_MAX_ENTRIES = 10_000


@register("uploads")
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        conf.current()
    except ImproperlyConfigured as error:
        hint = f"In the settings, with a folder that no web server shows: {_A_GOOD_ROOT}"
        return [Error(str(error), hint=hint, id="uploads.E001")]
    return []


@register("uploads")
def check_one_file_system(**_: Any) -> list[CheckMessage]:
    """Finishing is a rename from staging to content; between file systems there is none."""
    root = _root()
    folders = [root / name for name in _SUBFOLDERS] if root else []
    if len({os.stat(folder).st_dev for folder in folders if folder.is_dir()}) <= 1:
        return []
    return [
        Error(
            f"{folders[0]} and {folders[1]} are on different file systems; finishing an upload "
            "renames from one to the other.",
            hint="Mount one file system that holds both.",
            id="uploads.E002",
        )
    ]


@register("uploads")
def check_writable(**_: Any) -> list[CheckMessage]:
    root = _root()
    if root is None:
        return []
    for folder in (root, *(root / name for name in _SUBFOLDERS)):
        reason = _why_not_writable(folder)
        if reason:
            return [
                Error(
                    f'The folder of uploads, UPLOADS["ROOT"], cannot be used: {reason}. Every '
                    "upload would be refused.",
                    hint="Give it to the user whom the server runs as, for instance `install -d "
                    f"-m 700 -o www-data {root}`, or name another one: {_A_GOOD_ROOT}",
                    id="uploads.E003",
                )
            ]
    return []


@register("uploads")
def check_not_served(**_: Any) -> list[CheckMessage]:
    """What lies in a served folder everybody can fetch, verified or not, theirs or not."""
    root = _root()
    if root is None:
        return []
    return [
        Error(
            f'UPLOADS["ROOT"], {root}, and {name}, {folder}, lie one in the other. A web server '
            "shows what is in the latter: uploads of other people (P9), unfinished ones too (P1).",
            hint=f"Keep uploads beside it: {_A_GOOD_ROOT}",
            id="uploads.E004",
        )
        for name, folder in _served_folders()
        if any(_are_nested(own, folder) for own in (root, *(root / name for name in _SUBFOLDERS)))
    ]


@register("uploads")
def check_absolute(**_: Any) -> list[CheckMessage]:
    root = _root()
    if root is None or root.is_absolute():
        return []
    return [
        CheckWarning(
            f'UPLOADS["ROOT"], {str(root)!r}, is a relative path: a server and a cron job that are '
            "started in different folders would not find each other's uploads.",
            hint=f"Begin it with a folder that is the same everywhere: {_A_GOOD_ROOT}",
            id="uploads.W002",
        )
    ]


@register("uploads")
def check_validators(**_: Any) -> list[CheckMessage]:
    try:
        paths = conf.current().validators
    except ImproperlyConfigured:
        return []
    return [
        Error(
            f'UPLOADS["VALIDATORS"] names {path!r}, {reason}. No upload would ever be complete: '
            "each waits for all validators.",
            hint="Name a function of one argument by its dotted path: "
            'UPLOADS = {..., "VALIDATORS": ["myapp.validators.refuse_empty"]}',
            id="uploads.E005",
        )
        for path in paths
        if (reason := _why_not_callable(path))
    ]


def _root() -> Path | None:
    """None where the settings are wrong, which `check_settings` says."""
    try:
        return conf.current().root
    except ImproperlyConfigured:
        return None


def _why_not_writable(folder: Path) -> str:
    """For the user who runs the check; empty if all is well. What is not there has to be made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        doing = "write in" if there == folder else f"make {folder.name} in"
        return f"the user who runs this check may not {doing} {there}"
    return ""


def _served_folders() -> Iterator[tuple[str, Path]]:
    for name in ("STATIC_ROOT", "MEDIA_ROOT", "WHITENOISE_ROOT"):
        if folder := getattr(settings, name, None):
            yield name, Path(folder)
    for app in apps.get_app_configs():
        yield f"the static files of {app.name}", Path(app.path, "static")
    for entry in getattr(settings, "STATICFILES_DIRS", ()):
        # Each may have a prefix: (prefix, folder).
        folder = entry[1] if isinstance(entry, list | tuple) else entry
        yield "a folder of STATICFILES_DIRS", Path(folder)
    storages: dict[str, Any] = settings.STORAGES
    for alias, storage in storages.items():
        if location := storage.get("OPTIONS", {}).get("location"):
            yield f"the location of STORAGES[{alias!r}]", Path(location)


def _are_nested(own: Path, served: Path) -> bool:
    """Whether one lies in the other, also by a link, a mount or another spelling of the name."""
    return (
        _is_within(own, served)
        or _is_within(served, own)
        or any(_is_within(own, target) for target in _links_in(served))
    )


def _is_within(inner: Path, outer: Path) -> bool:
    """By their names and, where they are there, by what they are: case may make no difference."""
    inner, outer = inner.resolve(), outer.resolve()
    if inner.is_relative_to(outer):
        return True
    if not outer.exists():
        return False
    return any(there.exists() and there.samefile(outer) for there in (inner, *inner.parents))


def _links_in(served: Path) -> list[Path]:
    """What the folder's own links lead to: web servers follow them. Of a great many not all."""
    try:
        with os.scandir(served) as entries:
            return [Path(entry) for entry in islice(entries, _MAX_ENTRIES) if entry.is_symlink()]
    except OSError:
        return []


def _why_not_callable(path: str) -> str:
    try:
        found = import_string(path)
    except ImportError as error:
        return f"which cannot be imported ({error})"
    return "" if callable(found) else "which is nothing that can be called"
