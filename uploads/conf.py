"""The only reader of `settings.UPLOADS`. Everything else asks `conf.current()`."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from uploads.core.extensions import DANGEROUS
from uploads.core.plan import MAX_CHUNK_SIZE, MIB, MIN_CHUNK_SIZE

#: What the setting is called.
SETTING = "UPLOADS"
DURABILITIES = ("file", "chunk")
#: What a quota of a group may say.
QUOTAS = ("BYTES", "FILES", "UPLOADS")
#: As a browser says it (RFC 6454, section 6.2): lowercase, the port only where it is not the usual
#: one, nothing behind. IPv6 in brackets.
ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?!80$|443$)[0-9]{1,5})?")
#: A path that stands for itself: nothing in it that nginx or a browser would read as more.
_PREFIX = re.compile(r"/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)+")


@dataclass(frozen=True, slots=True)
class Config:
    """`settings.UPLOADS`, one field a key (`root` is `UPLOADS["ROOT"]`)."""

    #: The folder of staging and content. Both must be on one file system: finishing is a rename.
    root: Path
    #: Bytes of the largest file that is taken; a handshake for more is refused.
    max_file_size: int = 1024**4
    #: Bytes of a chunk where the client asks for nothing else.
    chunk_size: int = 5 * MIB
    #: A session without a new chunk for this many hours expires.
    session_hours: int = 48
    #: Bytes of memory for bodies on their way in: of all workers of `manage.py serve` together, of
    #: another server for each process. Beyond it chunks go to disk first.
    memory_pool: int = 48 * MIB
    #: Bodies read at once, per process. More are told to come back: the server's threads must
    #: not all wait for the network.
    max_readers: int = 384
    #: Requests that change something, in flight for one person at once, per process. A browser
    #: sends four chunks at a time, a busy script a dozen or two; and an eighth of `max_readers` is
    #: what the stalled clients of one person may take from all others.
    max_requests_per_user: int = 48
    #: Bytes of their bodies together, as declared; beside them one that is larger by itself. Four
    #: times what so many chunks of the default size have, and what a disk still writes in seconds.
    max_bytes_per_user: int = 1024**3
    #: Requests that wait for a verification at once, per process. More are told to ask again.
    max_waiters: int = 64
    #: Downloads at once, per process. Each keeps a thread until its client has read all.
    max_downloads: int = 128
    #: Sessions on a page of a list.
    page_size: int = 50
    #: Background verifications at once, per process.
    background_threads: int = 2
    #: Threads, per process, that read uploads while they arrive, so that little is left to verify
    #: after the last byte. One keeps up with some 10 Gbit/s. 0: all is read at the end.
    followers: int = 1
    #: What a power cut may cost: "file" syncs data when a file completes, "chunk" syncs each chunk
    #: before it is acknowledged.
    durability: str = "file"
    #: Ends of names (`pdf`, `tar.gz`), or whole names, without a dot before them. The only ones
    #: that are taken, where any are named.
    allowed_extensions: tuple[str, ...] = ()
    #: Those that are not, whatever is allowed.
    denied_extensions: tuple[str, ...] = DANGEROUS
    #: Whether content must be what its name and its declared type say, if those say anything.
    check_content: bool = True
    #: Bytes of one person's files and unfinished uploads together; None for as many as there is
    #: room for.
    quota_bytes: int | None = None
    #: Files and unfinished uploads of one person together; None for any number.
    quota_files: int | None = None
    #: Unfinished uploads of one person at once; None for any number.
    quota_uploads: int | None = 10_000
    #: Other quotas for members of a group, by its name: `{"editors": {"BYTES": 10 * 1024**4}}`.
    #: Each is the most generous of all groups of a person, and stands in the place of the general.
    group_quotas: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    #: Dotted paths of callables that look at a whole file before it counts as complete: each is
    #: given a Django `File` (`uploads.forms.UploadedContent`) and refuses by a ValidationError.
    validators: tuple[str, ...] = ()
    #: A form's page that is older than this many hours begins no upload any more. What it has begun
    #: goes on.
    ticket_hours: int = 24
    #: Where nginx has the folder of content as an internal location, such as "/protected-uploads/":
    #: it then sends what the app only answers for. Empty: the app sends it. See docs/deploy.md.
    accel_prefix: str = ""
    #: A host that serves content and nothing else, such as "https://content.example.net". Empty:
    #: content comes from the host of everything else. See docs/deploy.md.
    download_origin: str = ""
    #: Origins whose pages may upload here by tus, such as "https://app.example"; or "*", for any
    #: page, which then needs a token.
    cors_origins: tuple[str, ...] = ()

    @property
    def session_lifetime(self) -> timedelta:
        return timedelta(hours=self.session_hours)


def parse(given: Mapping[str, Any]) -> Config:
    """Raises ImproperlyConfigured, naming the key, for what cannot be right."""
    known = {key.name.upper(): key.name for key in fields(Config)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ImproperlyConfigured(
            f"UPLOADS has unknown keys: {', '.join(unknown)}. Known: {', '.join(sorted(known))}"
        )
    if "ROOT" not in given:
        raise ImproperlyConfigured('UPLOADS["ROOT"] must name the folder where uploads are kept')
    if not isinstance(given["ROOT"], str | os.PathLike):
        raise ImproperlyConfigured('UPLOADS["ROOT"] must be a path')
    values = {known[key]: value for key, value in given.items()}
    values["root"] = Path(values["root"])
    for name, convert in _CONVERTED.items():
        if name in values:
            values[name] = convert(values[name])
    config = Config(**values)
    _check(config)
    _check_serving(config)
    return config


def _strings(key: str, what: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ImproperlyConfigured(f'UPLOADS["{key}"] must be a list of {what}')


def _extensions(key: str, value: Any) -> tuple[str, ...]:
    """Without regard to case, and to a dot before them."""
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(e, str) for e in value):
        return tuple(sorted({e.casefold().removeprefix(".") for e in value}))
    raise ImproperlyConfigured(f'UPLOADS["{key}"] must be a list of extensions, such as ["pdf"]')


def _group_quotas(value: Any) -> Mapping[str, Mapping[str, int | None]]:
    if not isinstance(value, Mapping) or not all(
        isinstance(quota, Mapping) and set(quota) <= set(QUOTAS) for quota in value.values()
    ):
        raise ImproperlyConfigured(
            'UPLOADS["GROUP_QUOTAS"] must be a dict from names of groups to dicts with '
            f"{' and '.join(QUOTAS)}"
        )
    for name, quota in value.items():
        for key, limit in quota.items():
            _check_quota(f"GROUP_QUOTAS of {name!r}, {key},", limit)
    return MappingProxyType({name: MappingProxyType(dict(quota)) for name, quota in value.items()})


def _check_quota(key: str, value: Any) -> None:
    if value is not None and (type(value) is not int or value < 0):
        raise ImproperlyConfigured(
            f"UPLOADS: {key} must be a whole number, 0 or more, or None for no limit"
        )


_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "validators": partial(_strings, "VALIDATORS", "dotted paths"),
    "cors_origins": partial(_strings, "CORS_ORIGINS", "origins"),
    "allowed_extensions": partial(_extensions, "ALLOWED_EXTENSIONS"),
    "denied_extensions": partial(_extensions, "DENIED_EXTENSIONS"),
    "group_quotas": _group_quotas,
}


#: Whole numbers of which 0 turns something off.
_MAY_BE_NONE = ("followers",)


def _check(config: Config) -> None:
    for key in fields(Config):
        value = getattr(config, key.name)
        least = 0 if key.name in _MAY_BE_NONE else 1
        if key.type is int and (type(value) is not int or value < least):
            raise ImproperlyConfigured(
                f'UPLOADS["{key.name.upper()}"] must be a whole number, {least} or more'
            )
    if type(config.check_content) is not bool:
        raise ImproperlyConfigured('UPLOADS["CHECK_CONTENT"] must be True or False')
    _check_quota("QUOTA_BYTES", config.quota_bytes)
    _check_quota("QUOTA_FILES", config.quota_files)
    _check_quota("QUOTA_UPLOADS", config.quota_uploads)
    if config.durability not in DURABILITIES:
        raise ImproperlyConfigured(
            f'UPLOADS["DURABILITY"] must be one of {", ".join(map(repr, DURABILITIES))}'
        )
    if config.chunk_size > config.memory_pool:
        raise ImproperlyConfigured('UPLOADS["MEMORY_POOL"] must hold at least one CHUNK_SIZE')
    if not MIN_CHUNK_SIZE <= config.chunk_size <= MAX_CHUNK_SIZE:
        raise ImproperlyConfigured(
            f'UPLOADS["CHUNK_SIZE"] must be from {MIN_CHUNK_SIZE} to {MAX_CHUNK_SIZE} bytes'
        )


def _check_serving(config: Config) -> None:
    """Empty is right for both: then there is no such thing."""
    prefix, origin = config.accel_prefix, config.download_origin
    if prefix != "" and not _is_prefix(prefix):
        raise ImproperlyConfigured(
            'UPLOADS["ACCEL_PREFIX"] must be the path of a location of nginx that begins and ends '
            'with a slash, such as "/protected-uploads/"'
        )
    if origin != "" and not _is_origin(origin):
        raise ImproperlyConfigured(
            'UPLOADS["DOWNLOAD_ORIGIN"] must be a scheme and a host, with a port where it is not '
            'the usual one, such as "https://content.example.net"'
        )


def _is_prefix(value: Any) -> bool:
    return isinstance(value, str) and _PREFIX.fullmatch(value) is not None


def _is_origin(value: Any) -> bool:
    return isinstance(value, str) and ORIGIN.fullmatch(value) is not None


@cache
def current() -> Config:
    return parse(given())


def given(**changes: Any) -> dict[str, Any]:
    """What the project has set, with these keys instead: for tests, which override it."""
    return {**getattr(settings, SETTING, {}), **changes}


def _forget(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="uploads.conf")
